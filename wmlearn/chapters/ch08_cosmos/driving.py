"""What a dream of driving does not say is read off its frames: speed, place and direction.

A probe is trained on real frames, where the simulator knows the truth; its error there is the floor
of everything that is measured with it. From its readings follow the meters of road that a drive
makes, in the dream as in reality, and the policies that are compared: a controller that sees only
what the probe sees.

Shapes: B drives, T frames, ``KNOWN`` numbers a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.data.clip import Clip
from wmlearn.envs.drivers import expert
from wmlearn.envs.driving import ROAD_WIDTH, STATE, CarRacingEnv
from wmlearn.evaluation.closed_loop import ClosedLoop
from wmlearn.world import World

KNOWN = ("speed", "lateral", "heading", "curvature")
"""What the probe reads; units as in ``wmlearn.envs.driving.STATE``."""
GAP = 4  # frames between the two that it looks at
FRAMES_A_SECOND = 25
ON_ROAD = 0.6  # road widths from the middle; a wheel is then still on it
Part = TypeVar("Part", bound=nn.Module)
PROBE = "probe.safetensors"  # its file, beside the weights of a checkpoint
_COLUMNS = [STATE.index(name) for name in KNOWN]
_SCALE = torch.tensor([20.0, 0.3, 0.3, 0.3])


class DrivingProbe(nn.Module):
    """Two frames, ``GAP`` apart, to ``KNOWN``: four strided convolutions and two linear layers."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(6, width, 5, stride=2, padding=2), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(32 * width, 96), nn.SiLU(), nn.Linear(96, len(KNOWN)),
        )  # fmt: skip

    def forward(self, before: Tensor, now: Tensor) -> Tensor:
        """uint8 ``[B, 3, 64, 64]`` twice -> ``[B, 4]``."""
        x = torch.cat([before, now], dim=1).float() / 127.5 - 1
        return self.layers(x) * _SCALE.to(x.device)

    @torch.inference_mode()
    def read(self, frames: Tensor) -> Tensor:
        """``[B, T, 3, 64, 64]`` -> ``[B, T - GAP, 4]``: of every frame from number ``GAP`` on."""
        before, now = frames[:, :-GAP].flatten(0, 1), frames[:, GAP:].flatten(0, 1)
        pairs = zip(before.split(512), now.split(512), strict=True)
        return torch.cat([self(a, b) for a, b in pairs]).unflatten(0, (len(frames), -1))


def known(state: Tensor) -> Tensor:
    """The simulator's ``[..., STATE]`` -> ``[..., KNOWN]``."""
    return state[..., _COLUMNS]


def load_part(part: Part, name: str, file: str) -> Part:
    """A network with the weights of a file that comes with a checkpoint, ready to be asked.

    Raises:
        CheckpointError: none comes with it, or the file is not the one that its card describes.
    """
    path = hub.find(name) / file
    if not path.is_file() or hub.sha256(path) != hub.read_card(name).get("files", {}).get(file):
        raise hub.CheckpointError(f"{path} is missing or changed; fetch the checkpoint again.")
    part.load_state_dict({key: value.float() for key, value in hub.read_tensors(path).items()})
    return part.eval()


def load_probe(name: str = "cosmos-driving") -> DrivingProbe:
    """The probe that comes with a checkpoint; errors as of :func:`load_part`."""
    return load_part(DrivingProbe(), name, PROBE)


def train_probe(
    draw: Callable[[torch.Generator, int], tuple[Tensor, Tensor]],
    steps: int = 1500,
    batch: int = 64,
    seed: int = 0,
    rate: float = 2e-3,
) -> DrivingProbe:
    """Trains the probe on real frames.

    Args:
        draw: ``draw(generator, n)`` gives uint8 ``[n, 2, 3, 64, 64]``, ``GAP`` frames apart, and
            the state ``[n, STATE]`` at the second.
        steps: of AdamW; the rate falls to zero along a cosine.
        batch: pairs of a step.
        seed: of weights and draws.
        rate: the highest.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        probe = DrivingProbe()
        optimizer = torch.optim.AdamW(probe.parameters(), lr=rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
        for _ in range(steps):
            frames, state = draw(generator, batch)
            error = (probe(frames[:, 0], frames[:, 1]) - known(state)) / _SCALE
            F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.3).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
    return probe.eval()


def road_meters(read: Tensor, to_the_end: bool = True, worth: Tensor | float = 1.0) -> Tensor:
    """Metres of road that a drive makes, from ``KNOWN`` ``[B, T, 4]`` of each frame: ``[B]``.

    What counts is speed along the road, forward, while the car is on it: this is what the
    environment's reward pays for, a sum for each tile that is first touched.

    Args:
        read: of each frame.
        to_the_end: else nothing counts after the car has left the road for the first time.
        worth: of each metre, a number or ``[B, T]``.
    """
    speed, lateral, heading, _ = read.unbind(-1)
    forward, on = (speed * heading.cos()).clamp(min=0), lateral.abs() < ON_ROAD
    if not to_the_end:
        on = on.cumprod(-1)
    return (worth * forward * on).sum(-1) / FRAMES_A_SECOND


# --- policies that see what the probe sees -------------------------------------------------------


@dataclass(frozen=True)
class Controller:
    """Steers by the probe's readings of the last frames; an action is held for a chunk.

    Attributes:
        aim: meters a second on a straight road.
        caution: how much slower it aims where the road turns.
        steering: factor of its steering; below 1 it turns too little.
        noise: standard deviation of what is added to its actions.
        fixed: an action that is always taken instead.
    """

    aim: float = 40.0
    caution: float = 30.0
    steering: float = 1.0
    noise: float = 0.0
    fixed: tuple[float, float, float] | None = None

    def act(self, read: Tensor, rng: np.random.Generator) -> Tensor:
        """``KNOWN`` ``[B, 4]`` -> actions float32 ``[B, 3]``."""
        if self.fixed is not None:
            return torch.tensor(self.fixed).expand(len(read), -1)
        speed, lateral, heading, curvature = read.unbind(-1)
        steer = self.steering * (1.6 * heading + 0.9 * lateral - 1.1 * curvature)
        aim = (self.aim - self.caution * curvature.abs()).clamp(min=12)
        aim = torch.where(lateral.abs() > 0.7, aim.clamp(max=15), aim)
        gas, brake = 0.06 * (aim - speed), 0.03 * (speed - aim - 5)
        action = torch.stack([steer, gas * (1 - 0.5 * steer.abs().clamp(max=1)), brake], dim=-1)
        if self.noise:
            drawn = rng.normal(size=action.shape).astype(np.float32)
            action = action + self.noise * torch.from_numpy(drawn)
        low, high = torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([1.0, 1.0, 0.7])
        return action.float().clamp(low, high)


POLICIES = {
    "steady": Controller(),
    "slow": Controller(aim=22.0),
    "fast": Controller(aim=65.0, caution=40.0),
    "reckless": Controller(aim=90.0, caution=0.0),
    "late": Controller(aim=45.0, steering=0.35),
    "shaky": Controller(aim=40.0, noise=0.5),
    "straight on": Controller(fixed=(0.0, 0.4, 0.0)),
    "stands": Controller(fixed=(0.0, 0.0, 1.0)),
}
"""Eight policies, good and bad."""


# --- the same drive in reality and in the dream ---------------------------------------------------


@dataclass(frozen=True)
class Drives:
    """The same beginnings, driven on by one policy.

    Attributes:
        start: real clips ``[B, K]``, with actions (and states, where they were just driven).
        frames: uint8 ``[B, T, 3, 64, 64]``, what followed.
        actions: float32 ``[B, T, 3]``, what was done.
        state: float32 ``[B, T, STATE]``; NaN in a dream.
        rewards: float64 ``[B, T]``; NaN in a dream.
    """

    start: Clip
    frames: Tensor
    actions: Tensor
    state: Tensor
    rewards: Tensor

    def first(self, frames: int) -> Drives:
        """The first so many frames of what followed."""
        rest = (self.frames, self.actions, self.state, self.rewards)
        return Drives(self.start, *(part[:, :frames] for part in rest))

    def read(self, probe: DrivingProbe) -> Tensor:
        """``KNOWN`` ``[B, T, 4]`` of what followed, read off the frames."""
        return probe.read(torch.cat([self.start.frames[:, -GAP:], self.frames], dim=1))


def drive_really(
    policy: Controller, probe: DrivingProbe, seeds: list[int], world: World, chunks: int
) -> Drives:
    """Real drives: the expert begins, the policy goes on.

    Args:
        policy: sees ``probe``'s readings, once a chunk.
        probe: trained on real frames.
        seeds: of the tracks; also of the length of the beginning, 40 to 80 frames.
        world: says how long a beginning and a chunk are.
        chunks: that the policy drives.
    """
    env, parts = CarRacingEnv(), []
    for seed in seeds:
        rng = np.random.default_rng([seed, 5])
        frame, info = env.reset(seed=seed)
        act, frames, actions, rewards, states = expert(0.7), [frame], [], [], [info["state"]]

        def go(action, into=(frames, actions, rewards, states)) -> None:
            frame, reward, *_, info = env.step(np.asarray(action))
            for kept, value in zip(into, (frame, action, reward, info["state"]), strict=True):
                kept.append(value)

        for _ in range(int(rng.integers(40, 80))):
            go(act(env))
        begin = len(frames)
        for _ in range(chunks):
            last = torch.from_numpy(np.stack(frames[-GAP - 1 :])).permute(0, 3, 1, 2)[None]
            action = policy.act(probe.read(last)[:, -1], rng)[0].numpy()
            for _ in range(world.chunk):
                go(action)
        parts.append((np.stack(frames), np.stack(actions), np.array(rewards), np.stack(states)))
        parts[-1] = tuple(part[begin - world.context_frames - 1 :] for part in parts[-1])
    env.close()
    k = world.context_frames
    frames = torch.stack([torch.from_numpy(p[0]).permute(0, 3, 1, 2) for p in parts])[:, 1:]
    # an action stands before its frame: with one entry more in front they share an index
    actions = torch.stack([torch.from_numpy(np.float32(p[1])) for p in parts])
    rewards = torch.stack([torch.from_numpy(p[2]) for p in parts])
    state = torch.stack([torch.from_numpy(p[3]) for p in parts])[:, 1:]
    begun = actions[:, -frames.shape[1] + 1 :][:, : k - 1]
    start = Clip(frames[:, :k].contiguous(), begun, state=state[:, :k])
    rest = frames.shape[1] - k
    return Drives(start, frames[:, k:], actions[:, -rest:], state[:, k:], rewards[:, -rest:])


@torch.inference_mode()
def drive_in_dream(
    policy: Controller, probe: DrivingProbe, start: Clip, world: World, chunks: int, seed: int = 0
) -> Drives:
    """The same beginnings, continued by the policy in the dream."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng([seed, 6])
    state, recent = world.reset(start), start.frames[:, -GAP - 1 :]
    frames, actions = [], []
    for _ in range(chunks):
        action = policy.act(probe.read(recent)[:, -1], rng)
        state, step = world.step(state, action, generator)
        frames.append(step.frames)
        actions.append(action[:, None].expand(-1, world.chunk, -1))
        recent = torch.cat([recent, step.frames], dim=1)[:, -GAP - 1 :]
    return _dreamed(start, torch.cat(frames, 1), torch.cat(actions, 1))


@torch.inference_mode()
def dream_again(drives: Drives, world: World, seed: int = 0) -> Drives:
    """Real drives dreamed from the same beginnings under the same actions."""
    generator, state, frames = torch.Generator().manual_seed(seed), world.reset(drives.start), []
    for actions in drives.actions.split(world.chunk, dim=1):
        state, step = world.step(state, actions, generator)
        frames.append(step.frames)
    return _dreamed(drives.start, torch.cat(frames, 1), drives.actions)


def _dreamed(start: Clip, frames: Tensor, actions: Tensor) -> Drives:
    batch, time = frames.shape[:2]
    state = torch.full((batch, time, len(STATE)), torch.nan)
    return Drives(start, frames, actions, state, torch.full((batch, time), torch.nan).double())


def trajectory_error(read: Tensor, truth: Tensor, frame: int) -> Tensor:
    """How far apart two drives are at a frame, in road widths: ``[B]``.

    Args:
        read, truth: ``KNOWN`` ``[B, T, 4]``.
        frame: its number; 1 is the first that followed.
    """
    across = read[:, frame - 1, 1] - truth[:, frame - 1, 1]
    along = [(x[:, :frame, 0] * x[:, :frame, 2].cos()).sum(1) for x in (read, truth)]
    along = (along[0] - along[1]) / FRAMES_A_SECOND / ROAD_WIDTH
    return (across.square() + along.square()).sqrt()


def rank(
    policies: Mapping[str, Controller],
    probe: DrivingProbe,
    world: World,
    seeds: list[int],
    chunks: int,
    say: Callable[[str], None] = lambda text: None,
    real: Mapping[str, Drives] | None = None,
) -> tuple[ClosedLoop, dict[str, Drives]]:
    """Metres of road of every policy, in the dream and in reality, and the real drives.

    Args:
        policies: by name.
        probe: what they see with.
        world: the dream.
        seeds: of the tracks.
        chunks: that each drives.
        say: called with a line of text for each.
        real: the real drives, where they have been made before.
    """
    dreamed, metres, drives = [], [], dict(real or {})
    for name, policy in policies.items():
        if name not in drives:
            drives[name] = drive_really(policy, probe, seeds, world, chunks)
        dream = drive_in_dream(policy, probe, drives[name].start, world, chunks)
        metres.append(road_meters(known(drives[name].state)).double())
        dreamed.append(road_meters(dream.read(probe)).double())
        say(f"{name}: {metres[-1].mean():.1f} m of road, {dreamed[-1].mean():.1f} in the dream")
    loop = ClosedLoop(tuple(policies), tuple(dreamed), tuple(metres), chunks * world.chunk)
    return loop, drives
