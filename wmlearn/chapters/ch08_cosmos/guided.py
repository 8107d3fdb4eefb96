"""A dream that is told how the car moves, and keeps what it has seen of the ground.

A small network learns from recorded actions how a car moves: *dead reckoning*, without a picture
but for the first. Where it says that the car is, the ground that was in sight before is laid under
it, as far as it reaches; the diffusion model fills in what nobody saw, and makes one picture of
both. So the path is dead reckoning's, and the picture follows; what the picture adds, and what it
loses, is measured here (``follow``); ``followed.py`` is the command.

Shapes: B drives, K chunks of four frames, motions as in ``motion.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.chapters.ch08_cosmos.driving import (
    Drives,
    DrivingProbe,
    dream_again,
    load_part,
    trajectory_error,
)
from wmlearn.chapters.ch08_cosmos.driving import known as readable
from wmlearn.chapters.ch08_cosmos.motion import (
    CHUNK,
    GROUND,
    between,
    compose,
    moved,
    path_error,
    read_motions,
    seen_from,
    true_motions,
)
from wmlearn.data.clip import Clip
from wmlearn.metrics import mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.systems.cosmos.world import CosmosState, CosmosWorld
from wmlearn.world import Step, World

MOTION = "motion.safetensors"  # its file, beside the weights of a checkpoint
_SCALE = torch.tensor([5.0, 1.5, 0.4])
_SEEN = 4  # motions of the beginning in training: those of 17 frames
_KEPT = 16  # pictures of the ground that are remembered


class MotionModel(nn.Module):
    """A recurrent network of 96 numbers: motion and actions of a chunk to the next one's motion."""

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.gru = nn.GRUCell(3 + 2 * 3 * CHUNK, width)
        self.out = nn.Sequential(
            nn.Linear(width + 3 * CHUNK, width), nn.SiLU(), nn.Linear(width, 3)
        )

    def forward(self, hidden: Tensor, motion: Tensor, before: Tensor, now: Tensor):
        """Hidden ``[B, 96]``, the last motion ``[B, 3]``, its and the next actions ``[B, 12]``."""
        hidden = self.gru(torch.cat([motion / _SCALE, before, now], 1), hidden)
        change = self.out(torch.cat([hidden, now], 1)) * _SCALE / 2
        return hidden, motion + change

    def begin(self, motions: Tensor, actions: Tensor) -> Tensor:
        """What it remembers of motions ``[B, n, 3]``, actions ``[B, n, 12]``, the last one left."""
        hidden = motions.new_zeros(len(motions), self.gru.hidden_size)
        for k in range(motions.shape[1] - 1):
            hidden, _ = self(hidden, motions[:, k], actions[:, k], actions[:, k + 1])
        return hidden

    def reckon(self, motions: Tensor, actions: Tensor) -> Tensor:
        """Motions ``[B, n, 3]`` that are known -> those of the other actions ``[B, n + K, 12]``."""
        n = motions.shape[1]
        hidden, motion, found = self.begin(motions, actions), motions[:, -1], []
        for k in range(n, actions.shape[1]):
            hidden, motion = self(hidden, motion, actions[:, k - 1], actions[:, k])
            found.append(motion)
        return torch.stack(found, 1)


def in_chunks(actions: Tensor) -> Tensor:
    """``[B, 4 K, 3]`` -> ``[B, K, 12]``."""
    return actions.float().unflatten(1, (-1, CHUNK)).flatten(2)


def load_motion(name: str = "cosmos-driving") -> MotionModel:
    """The motion model that comes with a checkpoint; errors as of ``driving.load_part``."""
    return load_part(MotionModel(), name, MOTION)


def train_motion(
    state: Tensor, actions: Tensor, steps: int = 4000, batch: int = 192, chunks: int = 13, seed=0
) -> MotionModel:
    """Trains the motion model on recorded states alone, two seconds ahead of its own words.

    Args:
        state: ``[N, T, STATE]`` of episodes.
        actions: ``[N, T - 1, 3]``.
        steps: of AdamW.
        batch: stretches of a step; every second one is mirrored.
        chunks: that it must go on alone.
        seed: of weights and draws.
    """
    generator, length = torch.Generator().manual_seed(seed), CHUNK * (_SEEN + chunks)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        model = MotionModel()
        optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for _ in range(steps):
            row = torch.randint(len(state), (batch, 1), generator=generator)
            at = torch.randint(state.shape[1] - length, (batch, 1), generator=generator)
            at = at + torch.arange(length + 1)
            side = torch.where(torch.arange(batch) % 2 == 0, 1.0, -1.0).view(-1, 1, 1)
            motion = true_motions(state[row, at]) * torch.cat([side.abs(), side, side], 2)
            told = actions[row, at[:, :-1]] * torch.cat([side, side.abs(), side.abs()], 2)
            noise = torch.randn(motion.shape, generator=generator)  # as a reader's
            seen = motion + noise * torch.tensor([0.05, 0.05, 0.004])
            said = model.reckon(seen[:, :_SEEN], in_chunks(told))
            error = (said - motion[:, _SEEN:]) / _SCALE
            loss = 2 * F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
            apart = [compose(m)[..., :2] for m in (said, motion[:, _SEEN:])]
            apart = (apart[0] - apart[1]).square().sum(-1) / 13.3**2
            (loss + 0.3 * (apart + 0.01).sqrt().mean()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
    return model.eval()


# --- the guided dream ----------------------------------------------------------------------------


@dataclass(frozen=True)
class GuidedState:
    """What the next frames depend on.

    Attributes:
        dream: the dream's own.
        frames: uint8 ``[B, 9, 3, 64, 64]``, the last.
        hidden, motion, actions: the motion model's, of the last chunk.
        place: where the car is, ``[B, 3]``.
        ground: pictures uint8 ``[B, 3, 64, 64]`` and the places they were seen from, oldest first.
    """

    dream: CosmosState
    frames: Tensor
    hidden: Tensor
    motion: Tensor
    actions: Tensor
    place: Tensor
    ground: tuple[tuple[Tensor, Tensor], ...]


class GuidedWorld(World):
    """Cosmos's dream, with dead reckoning, and ground that stays where it was seen.

    Args:
        world: the dream.
        motion: says how the car moves.
        level: noise down to which the diffusion model must believe what was seen; below it, it
            may change all.
    """

    predicts_reward = False
    action_a_frame = True

    def __init__(self, world: CosmosWorld, motion: MotionModel, level: float = 0.04) -> None:
        self.world, self.model, self.level, self.system = world, motion, level, world.system
        self.chunk, self.context_frames = world.chunk, world.context_frames
        self.action_space, self.frame_shape = world.action_space, world.frame_shape

    @torch.inference_mode()
    def reset(self, context: Clip) -> GuidedState:
        """The state after a real clip of at least ``context_frames`` frames."""
        dream, n = self.world.reset(context), self.context_frames - 1
        frames, actions = context.frames[:, -n - 1 :], in_chunks(context.actions[:, -n:])
        motions = read_motions(frames)
        hidden, place = self.model.begin(motions, actions), torch.zeros(len(frames), 3)
        ground = ((frames[:, -1], place),)
        return GuidedState(
            dream, frames[:, -9:], hidden, motions[:, -1], actions[:, -1], place, ground
        )

    @torch.inference_mode()
    def step(self, state: GuidedState, action: Tensor, generator=None) -> tuple[GuidedState, Step]:
        """Lays what was seen under the car, draws the rest, and shows four frames.

        Args:
            state: the state.
            action: float32 ``[B, 3]``, or ``[B, 4, 3]``.
            generator: of the noise.
        """
        if action.ndim == 2:
            action = action[:, None].expand(-1, CHUNK, -1)
        now = in_chunks(action)[:, 0]
        hidden, motion = self.model(state.hidden, state.motion, state.actions, now)
        seen, valid = self._seen(state, motion)

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator)

        with self.world._precision():
            whole = torch.cat([state.frames, seen], 1)
            laid = self.system.encode(whole).float()[:, -1:]
            sure = F.avg_pool2d(valid.float().amin(1, keepdim=True), 8)[:, :, None] > 0.8

            def edit(clean: Tensor, level: Tensor) -> Tensor:
                early = level.view(-1, 1, 1, 1, 1) > self.level
                return torch.where(sure & early, laid, clean.float())

            actions = torch.cat([state.dream.actions, now[:, None]], 1)
            new = self.system.denoiser.draw(
                state.dream.latents, 1, noise, self.world.sampler, actions, edit=edit
            )
            video, drawing = self.system.tokenizer.decode_piece(
                self.system.unscaled(new), state.dream.drawing
            )
        frames, place = to_uint8(video), moved(state.place, motion)
        latents = torch.cat([state.dream.latents[:, 1:], new.float()], 1)
        after = GuidedState(
            CosmosState(latents, actions[:, 1:], drawing),
            torch.cat([state.frames[:, CHUNK:], frames], 1),
            hidden, motion, now, place, (*state.ground, (frames[:, -1], place))[-_KEPT:],
        )  # fmt: skip
        none = torch.zeros(len(now))
        return after, Step(frames[:, -1], none, none.bool(), frames=frames)

    def _seen(self, state: GuidedState, motion: Tensor) -> tuple[Tensor, Tensor]:
        """The next four frames as far as their ground was in sight, and where it was."""
        frames, known, last = [], [], state.frames[:, -1].float()
        for j in range(1, CHUNK + 1):
            here = moved(state.place, motion * j / CHUNK)
            picture, valid = torch.zeros_like(last), torch.zeros(len(last), 64, 64).bool()
            for ground, place in state.ground:  # the oldest first: it was real
                shown, inside = seen_from(ground.float(), between(place, here))
                picture = torch.where((inside & ~valid)[:, None], shown, picture)
                valid = valid | inside
            picture = torch.where(valid[:, None], picture, shown)  # else the nearest edge
            car = GROUND == 0
            frames.append(torch.where(car, last, picture))
            known.append(valid | car)
        return torch.stack(frames, 1).round().to(torch.uint8), torch.stack(known, 1)


# --- what it is worth ----------------------------------------------------------------------------


@torch.inference_mode()
def follow(drives: Drives, world: CosmosWorld, model: MotionModel, probe: DrivingProbe) -> dict:
    """Real drives dreamed again under the same actions, guided or not; errors in road widths.

    Args:
        drives: real ones, with the state of the last frame of the beginning in ``start``.
        world: the plain dream.
        model: of the car's motion.
        probe: reads places on the road, for the error along and across it.
    """
    start, system, n = drives.start, world.system, world.context_frames - 1
    last = start.frames[:, -1:]
    truth = true_motions(torch.cat([start.state[:, -1:], drives.state], 1))
    given = read_motions(start.frames[:, -n - 1 :])
    actions = in_chunks(torch.cat([start.actions[:, -n:].float(), drives.actions], 1))
    whole = torch.cat([start.frames, drives.frames], 1)
    with world._precision():
        parts = [system.decode(system.encode(x)).float() for x in whole.split(4)]
    tokenized = to_uint8(torch.cat(parts))
    shown = {
        "real frames": drives.frames,
        "tokenized frames": tokenized[:, start.length :],
        "dream": dream_again(drives, world).frames,
        "guided dream": dream_again(drives, GuidedWorld(world, model)).frames,
    }
    first = given[:, -1] / CHUNK
    paths = {name: read_motions(torch.cat([last, f], 1), first) for name, f in shown.items()}
    paths["dead reckoning"] = model.reckon(given, actions)
    paths["as it began"] = given[:, -1:].expand_as(truth)
    paths["standing still"] = torch.zeros_like(truth)
    real, found = readable(drives.state), {}
    for name, path in paths.items():
        its = {str(h): _summary(path_error(path, truth, h)) for h in (25, 50)}
        if name in shown:
            read = probe.read(torch.cat([start.frames[:, -4:], shown[name]], 1))
            its["along and across, 50"] = _summary(trajectory_error(read, real, 50))
            its["psnr"] = {
                str(h): mean_estimate(psnr(shown[name][:, h - 1], drives.frames[:, h - 1]))
                for h in (4, 8, 32, 48)
            }
        found[name] = its
    for frame in (25, 50):
        dream, guided, reckoned = (
            path_error(paths[name], truth, frame)
            for name in ("dream", "guided dream", "dead reckoning")
        )
        found["guided dream"][f"less than dream, {frame}"] = mean_estimate(dream - guided)
        found["guided dream"][f"less than dead reckoning, {frame}"] = mean_estimate(
            reckoned - guided
        )
    return found


def _summary(errors: Tensor) -> dict:
    return {
        "mean": mean_estimate(errors),
        "median": errors.median().item(),
        "within half a width": (errors <= 0.5).double().mean().item(),
        "each": errors.tolist(),
    }
