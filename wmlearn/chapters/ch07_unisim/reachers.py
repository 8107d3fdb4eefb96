"""The arm's policies: one towards a picture of its goal, in four ways of learning it.

Cloned from short recorded ways; from long ones that were dreamed, by hindsight; and improved by
searching in the dream. See ``policies.py``, which has BabyAI's.

Legend: B dreams, K candidates, c x h x w a latent, A numbers of a motion.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.chapters.ch07_unisim.policies import (
    BATCH,
    Reader,
    any_frames,
    descend,
    fit,
    repeated,
    within_seconds,
)
from wmlearn.chapters.ch07_unisim.train import precision
from wmlearn.recipes.optim import adamw
from wmlearn.systems.unisim.system import UniSim
from wmlearn.systems.unisim.world import UniSimState, UniSimWorld

HELD = 2  # steps for which the search holds a motion
CANDIDATES = 24  # motions that it tries
SHARPNESS = 6.0  # standard deviations of the distance, to the power of e: see `searched_motions`


def clone_reacher(
    model: UniSim, mixture: Mixture, latents: Tensor, steps: int = 1500, within: int = 8
) -> Reader:
    """Imitates the recorded motions, each towards a frame up to ``within`` steps later."""
    device, rows = mixture.device, _recorded_moves(model, mixture)
    generator = torch.Generator(device).manual_seed(8)

    def loss(policy: Reader, pick: Tensor) -> Tensor:
        first = rows[pick]
        ahead = torch.randint(1, within + 1, first.shape, generator=generator, device=device)
        goal = latents[torch.minimum(first + ahead, mixture.end[first])]
        return F.mse_loss(policy(latents[first], goal=goal).tanh(), mixture.motion_after(first))

    policy = Reader(latents.shape[1], latents.shape[2], model.config.dimensions).to(device)
    return fit(policy, steps, loss, len(rows), device)


@torch.no_grad()
def long_ways(
    model: UniSim, mixture: Mixture, latents: Tensor, seconds: float, batch: int,
    horizon: int = 20, most: int = 200_000, domain: str = "fetch",
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Dreams of long straight ways, for hindsight: any later frame is a goal that was reached.

    Returns:
        Latents float16 ``[ways, horizon + 1, c, h, w]`` and motions ``[ways, horizon, A]``.
    """
    world, device = model.world({"domain": domain, "num_steps": 1}), mixture.device
    generator = torch.Generator(device).manual_seed(31)
    begin, kept, done = time.monotonic(), [], []
    size = model.config.dimensions
    while not kept or (time.monotonic() - begin < seconds and len(kept) * batch < most // horizon):
        state = world.begin(latents[any_frames(mixture, domain, batch, generator)])
        motion = torch.zeros(batch, size, device=device)
        ways, motions = [state.latent.half()], []
        for t in range(horizon):
            new = 2 * torch.rand(batch, size, generator=generator, device=device) - 1
            turn = torch.rand(batch, 1, generator=generator, device=device) < (0.08 if t else 1.0)
            motion = torch.where(turn, new, motion)
            state = world.imagine(state, motion, generator)
            ways.append(state.latent.half())
            motions.append(motion)
        kept.append(torch.stack(ways, 1))
        done.append(torch.stack(motions, 1))
    return torch.cat(kept), torch.cat(done)


def hindsight_reacher(
    model: UniSim, mixture: Mixture, latents: Tensor, ways: tuple[Tensor, Tensor], steps: int,
    recorded: float = 0.5,
) -> Reader:  # fmt: skip
    """Imitates, from long dreamed ways and recorded short ones, what led to a later frame.

    Args:
        ways: of :func:`long_ways`.
        steps: of training.
        recorded: share of a batch that is recorded.
    """
    device, (kept, motions) = mixture.device, ways
    generator = torch.Generator(device).manual_seed(9)
    rows = _recorded_moves(model, mixture)
    horizon = motions.shape[1]

    def at_random(count: int, high: int) -> Tensor:
        return torch.randint(high, (count,), generator=generator, device=device)

    def loss(policy: Reader, pick: Tensor) -> Tensor:
        few = int(recorded * len(pick))
        first = rows[pick[:few] % len(rows)]
        ahead = 1 + at_random(few, 8)
        goal = latents[torch.minimum(first + ahead, mixture.end[first])]
        way, t = pick[few:] % len(kept), at_random(len(pick) - few, horizon)
        later = t + 1 + (torch.rand(len(t), generator=generator, device=device) * (horizon - t))
        later = later.long().clamp(max=horizon)
        here = torch.cat([latents[first], kept[way, t].float()])
        there = torch.cat([goal, kept[way, later].float()])
        wanted = torch.cat([mixture.motion_after(first), motions[way, t]])
        return F.mse_loss(policy(here, goal=there).tanh(), wanted)

    policy = Reader(latents.shape[1], latents.shape[2], model.config.dimensions).to(device)
    return fit(policy, steps, loss, 10**9, device)


def _recorded_moves(model: UniSim, mixture: Mixture, domain: str = "fetch") -> Tensor:
    """The numbers of frames to be trained on that a motion follows."""
    number = model.config.number_of(domain)
    everywhere = torch.arange(len(mixture), device=mixture.device)
    good = (mixture.domain == number) & ~mixture.held_out & (everywhere < mixture.end)
    return everywhere[good]


def train_reacher(
    model: UniSim, mixture: Mixture, latents: Tensor, seconds: float, batch: int, log: Callable,
    policy: Reader | None = None, horizon: int = 6, domain: str = "fetch",
) -> Reader:  # fmt: skip
    """The arm's policy, on from ``policy`` if there is one: goals are other frames."""
    world = model.world({"domain": domain, "num_steps": 1})
    c, side = model.config.autoencoder.latent_channels, model.config.latent_size
    device, begin, rounds = mixture.device, time.monotonic(), 0
    generator = torch.Generator(device).manual_seed(6)
    mine = Reader(c, side, model.config.dimensions).to(device)
    if policy is not None:
        mine.load_state_dict(policy.state_dict())
    optimizer = adamw(mine.parameters(), 7e-4, 1e-3, fused=device.type == "cuda")
    kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    while (gone := (time.monotonic() - begin) / seconds) < 1:
        rows, goals = (any_frames(mixture, domain, batch, generator) for _ in range(2))
        goal, state = latents[goals], world.begin(latents[rows])
        for _ in range(horizon):
            with torch.no_grad():
                guess = mine(state.latent, goal=goal).tanh()
            wanted = best_motion(world, state, goal, guess, generator)
            kept.append((state.latent, goal, wanted))
            done = 0.5 * (guess + wanted) + 0.2 * noise(*guess.shape)
            state = world.imagine(state, done.clamp(-1, 1), generator)
            if (time.monotonic() - begin) / seconds > 1:
                break
        rounds += 1
        del kept[: max(0, len(kept) - 120)]
        for group in optimizer.param_groups:
            group["lr"] = 7e-4 * max(0.05, 1 - gone)
        for _ in range(2 * horizon):
            n = torch.randint(len(kept), (2,), generator=generator, device=device).tolist()
            z, goal, wanted = (torch.cat([kept[i][j] for i in n]) for j in range(3))
            loss = F.mse_loss(mine(z + 0.1 * noise(*z.shape), goal=goal).tanh(), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if rounds % 3 == 1:
            log("reacher", {"rounds": rounds, "loss": round(float(loss.detach()), 4)})
    log("reacher", {"rounds": rounds, "loss": round(float(loss.detach()), 4)})
    return mine.eval()


@torch.inference_mode()
def searched_motions(
    model: UniSim, latents: Tensor, first: Tensor, end: Tensor, seconds: float, ahead: int = 6,
    tried: int = 32, goals: int = 24, batch: int = 16,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """What a search in the dream would do in recorded frames, towards frames near them.

    Motions at random are dreamed, each held for two steps; how far each ends from a goal's picture
    is the mean squared difference of latents. What is dreamed does not depend on the goal, so one
    dream serves many. The answer is the mean of the motions, those that end nearest count more.

    Args:
        latents: ``[N, c, h, w]``, of recorded frames.
        first, end: int64 ``[N]``, the first and the last frame of each frame's episode.
        seconds: of processor time.
        ahead: a goal is at most so many frames before or after; it may be the frame itself.
        tried: motions that are dreamed; one of them is to stay.
        goals: of each frame.
        batch: frames at a time.

    Returns:
        The frames and the goals, int64 ``[L]``, and the motions ``[L, A]``.
    """
    world, size = model.world({"domain": "fetch", "num_steps": 1}), model.config.dimensions
    generator, begin, parts = torch.Generator().manual_seed(5), time.process_time(), []
    while not parts or time.process_time() - begin < seconds:
        here = torch.randint(len(latents), (batch,), generator=generator)
        there = torch.randint(-ahead, ahead + 1, (batch, goals), generator=generator)
        there = torch.maximum(
            torch.minimum(here[:, None] + there, end[here][:, None]), first[here][:, None]
        )
        ways = 2 * torch.rand(batch, tried, size, generator=generator) - 1
        ways = ways * torch.rand(batch, tried, 1, generator=generator).sqrt()
        ways[:, 0] = 0
        state = repeated(world.begin(latents[here]), tried)
        for _ in range(HELD):
            state = world.imagine(state, ways.flatten(0, 1), generator)
        ends = state.latent.float().view(batch, tried, -1)
        gap = torch.cdist(latents[there].flatten(2), ends).square() / ends.shape[-1]
        gap = (gap - gap.amin(-1, keepdim=True)) / gap.std(-1, keepdim=True)
        best = (-SHARPNESS * gap).softmax(-1) @ ways  # [batch, goals, A]
        parts.append(
            (here[:, None].expand_as(there).flatten(), there.flatten(), best.flatten(0, 1))
        )
    here, there, motions = (torch.cat(column) for column in zip(*parts, strict=True))
    return here, there, motions


def improved(
    policy: Reader, latents: Tensor, motions: Tensor, end: Tensor, seconds: float,
    searched: tuple[Tensor, Tensor, Tensor] | None = None, rate: float = 1e-3, within: int = 8,
) -> Reader:  # fmt: skip
    """A policy that goes on from another: half of a batch imitates the search, half the recording.

    Args:
        policy: where it begins.
        latents: ``[N, c, h, w]``, of recorded frames.
        motions: ``[N, A]``, made after them.
        end: int64 ``[N]``, the last frame of each frame's episode.
        seconds: of processor time.
        searched: of :func:`searched_motions`; None: all of a batch is recorded.
        rate: the highest learning rate.
        within: a recorded goal is at most so many frames later.
    """
    mine, generator = copy.deepcopy(policy).train(), torch.Generator().manual_seed(8)
    optimizer = torch.optim.AdamW(mine.parameters(), rate, (0.9, 0.99), weight_decay=1e-2)
    rows = torch.nonzero(torch.arange(len(end)) < end)[:, 0]
    few = BATCH if searched is None else BATCH // 2

    def loss() -> Tensor:
        here = rows[torch.randint(len(rows), (few,), generator=generator)]
        later = torch.randint(1, within + 1, here.shape, generator=generator)
        there, wanted = torch.minimum(here + later, end[here]), motions[here]
        if searched is not None:
            pick = torch.randint(len(searched[0]), (BATCH - few,), generator=generator)
            columns = zip((here, there, wanted), searched, strict=True)
            here, there, wanted = (torch.cat([a, b[pick]]) for a, b in columns)
        with precision(latents.device):
            said = mine(latents[here], goal=latents[there])
        return F.mse_loss(said.float().tanh(), wanted)

    def factor(step: int, gone: float) -> float:
        return min(1, (step + 1) / 50) * (1 - gone)

    descend(optimizer, loss, within_seconds(seconds), factor)
    return mine.eval()


@torch.no_grad()
def best_motion(
    world: UniSimWorld,
    state: UniSimState,
    goal: Tensor,
    guess: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """The motion ``[B, A]`` after which the fewest steps are left.

    Args:
        goal: ``[B, c, h, w]``, the goal's latent.
        guess: ``[B, A]``, what the policy would do: half of the candidates are near it.
        generator: of the candidates and the dreams.
    """
    (batch, size), device = guess.shape, guess.device
    wide = torch.randn(batch, CANDIDATES, size, generator=generator, device=device)
    spread = torch.linspace(0.1, 1.0, CANDIDATES, device=device)[None, :, None]
    tried = (guess[:, None] + spread * wide).clamp(-1, 1)
    tried[:, 0] = guess
    there, actions = repeated(state, CANDIDATES), tried.flatten(0, 1)
    for _ in range(HELD):
        there = world.imagine(there, actions, generator)
    left = world.steps_to_go(there, goal_latent=goal.repeat_interleave(CANDIDATES, 0))
    best = left.view(batch, CANDIDATES).argmin(1)
    return tried[torch.arange(batch, device=device), best]
