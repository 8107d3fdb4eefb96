"""What Sora knows of the world, measured against the simulator that made its clips.

Everything is counted from the true state: how a video goes on from three given frames, whether a
thing is still there behind a bar, what a collision does, whether what cannot be surprises the
model more than what can, and whether a prompt is obeyed.

Shapes: N videos, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlearn.envs.scenes import draw, sample_scenes, simulate
from wmlearn.envs.scenes.captions import captions
from wmlearn.envs.scenes.physics import BODIES
from wmlearn.envs.scenes.sample import TRAINED, Ranges
from wmlearn.envs.scenes.violations import Violation
from wmlearn.evaluation.captions import Adherence, adherence
from wmlearn.evaluation.physics import (
    Tracks,
    Truth,
    hidden,
    momentum,
    of_bodies,
    overlap,
    position_errors,
    seen,
    track,
    velocity_errors,
)
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.systems.sora.system import Sora

GIVEN = 3
NEAR = 4.0  # pixels within which a thing that comes out again is in its place
BATCH = 32


@dataclass(frozen=True)
class Scene:
    """True videos of one kind, and what is known of them.

    Attributes:
        state: ``[N, T, S]``, float32.
        touched: bool ``[N, T, K + 1, K]``, on the way to each frame.
        frames: uint8 ``[N, T, 3, H, W]``.
        text: N captions without the outcome.
    """

    state: Tensor
    touched: Tensor
    frames: Tensor
    text: list[str]

    @property
    def truth(self) -> Truth:
        """Where everything really is."""
        return Truth.of(self.state)


def scene(
    family: str,
    count: int,
    seed: int = 0,
    *,
    ranges: Ranges = TRAINED,
    combinations: str = "seen",
    bodies: int | None = None,
    frames: int = 16,
    size: tuple[int, int] = (64, 64),
) -> Scene:
    """New videos that no training has seen (training takes seeds of another kind)."""
    rng = np.random.default_rng([606, seed])
    options = dict(ranges=ranges, combinations=combinations, bodies=bodies, size=size)
    state, touched = simulate(sample_scenes(count, rng, family, **options), frames)
    text = captions(state, touched, rng)
    known = torch.from_numpy(state)
    return Scene(known, torch.from_numpy(touched), draw(known, size), text)


@torch.no_grad()
def videos(
    system: Sora,
    text: Sequence[str],
    first: Tensor | None = None,
    seed: int = 0,
    **sampler: float,
) -> Tensor:
    """uint8 ``[N, T, 3, H, W]``, drawn in batches; see ``Sora.generate``."""
    generator, parts = torch.Generator().manual_seed(seed), []
    kind = system.latent_mean.device.type
    for start in range(0, len(text), BATCH):
        rows = slice(start, start + BATCH)
        given = None if first is None else first[rows]
        with torch.autocast(
            kind, torch.bfloat16, enabled=bfloat16_is_fast(system.latent_mean.device)
        ):
            drawn = system.generate(text[rows], given, generator, sampler)
        parts.append(drawn.cpu())
    return torch.cat(parts)


def continued(system: Sora, real: Scene, seed: int = 0, guidance: float = 1.0) -> Tensor:
    """Videos that begin with the first three true frames."""
    return videos(system, real.text, real.frames[:, :GIVEN], seed, guidance=guidance)


# --- how a thing moves on -------------------------------------------------------------------------


@dataclass(frozen=True)
class Motion:
    """Errors after the given frames, beside the tracker's own on the true videos.

    Attributes:
        velocity: pixels a frame, mean over all steps between drawn frames.
        floor: the same of the true videos.
        position: frame -> median distance from the truth, pixels.
        copied: the same if the last given frame stood still.
        present: share of bodies that are seen with about their true area.
    """

    velocity: Estimate
    floor: Estimate
    position: dict[int, float]
    copied: dict[int, float]
    present: Estimate

    @property
    def floors(self) -> float:
        """The velocity error in floors."""
        return self.velocity.value / self.floor.value


def motion(real: Scene, drawn: Tensor, at: tuple[int, ...] = (4, 8, 15)) -> Motion:
    """How a video goes on; ``drawn`` begins with the given frames of ``real``."""
    truth, tracks = real.truth, track(drawn)
    copied = real.frames[:, GIVEN - 1 : GIVEN].expand_as(real.frames)
    errors = {name: position_errors(track(x), truth) for name, x in (("copy", copied),)}
    own = position_errors(tracks, truth)
    at = tuple(k for k in at if k < drawn.shape[1])
    return Motion(
        _mean(velocity_errors(tracks, truth)[:, GIVEN - 1 :]),
        _mean(velocity_errors(track(real.frames), truth)[:, GIVEN - 1 :]),
        {k: _median(own[:, k]) for k in at},
        {k: _median(errors["copy"][:, k]) for k in at},
        _mean(seen(tracks, truth)[:, GIVEN:]),
    )


def first_step(real: Scene, drawn: Tensor) -> Estimate:
    """Velocity error from the last given frame to the first drawn one, pixels a frame."""
    return _mean(velocity_errors(track(drawn), real.truth)[:, GIVEN - 1 : GIVEN])


def speeds(real: Scene, drawn: Tensor, until: int = 8) -> tuple[Tensor, Tensor]:
    """True and drawn speed of each body over free flight, pixels a frame: ``[M]`` each.

    Only bodies that touch nothing up to frame ``until`` count.
    """
    free = ~real.touched[:, : until + 1].any((1, 2))  # [N, K]: touches are noted for both bodies
    found = of_bodies(track(drawn), real.truth).center
    way = (found[:, until] - found[:, GIVEN - 1]) / (until - GIVEN + 1)
    true = real.truth.velocity[:, 0].norm(dim=-1)
    keep = free & real.truth.there & ~way.isnan().any(-1)
    return true[keep], way.norm(dim=-1)[keep]


# --- permanence -----------------------------------------------------------------------------------


def hidden_frames(real: Scene) -> tuple[Tensor, Tensor]:
    """For scenes of the family "bar": how long the body is out of sight, and when it is back.

    Returns:
        Hidden frames int64 ``[N]``, 0 where the body does not count: it is out of sight among the
        given frames, or is not wholly out again before the end. And bool ``[N, T]``: it is.
    """
    truth, bar = real.truth, real.state[..., -2:]
    behind = hidden(truth, bar)
    off = (truth.center[:, :, 0, 0] - bar[..., 0]).abs()
    clear = off - truth.radius[:, None, 0] > bar[..., 1] / 2 + 0.5
    after = (behind.cumsum(1) > 0) & ~behind & clear
    counts = after[:, GIVEN:].any(1) & ~behind[:, :GIVEN].any(1)
    return behind.sum(1) * counts, after


def permanence(real: Scene, drawn: Tensor, within: float = NEAR) -> dict[int, Estimate]:
    """Hidden frames -> share of bodies that come out again where they should.

    For scenes of the family "bar". A body counts from the first true frame on in which it is wholly
    out again; then it must be seen, with about its area, within so many pixels of its place.
    """
    count, after = hidden_frames(real)
    truth, tracks = real.truth, track(drawn)
    near = position_errors(tracks, truth)[:, :, 0] < within
    right = (near & (seen(tracks, truth)[:, :, 0] == 1)).float()
    share = (right * after).sum(1) / after.sum(1).clamp(min=1)
    found = {}
    for n in range(1, 7):
        rows = count == n
        if rows.sum() >= 5:
            found[n] = mean_estimate(share[rows].double())
    return found


# --- collisions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collisions:
    """What two bodies do when they meet, over N collisions.

    Attributes:
        before, after: velocity error, pixels a frame, of free flight and in the three steps after.
        straight: the error after, if they had gone through each other.
        momentum: change of the measured total, as a share of what it was; ``real`` the same of the
            true videos (the tracker's floor).
        overlap: the deepest they are in each other, pixels; ``real_overlap`` likewise.
        count: N.
    """

    before: Estimate
    after: Estimate
    straight: Estimate
    momentum: Estimate
    momentum_real: Estimate
    overlap: Estimate
    overlap_real: Estimate
    count: int


def collisions(real: Scene, drawn: Tensor) -> Collisions:
    """For scenes of the family "hit"; counts those that meet once, in mid-video, off the walls."""
    met = real.touched[:, :, 0, 1]
    first = met.float().argmax(1)
    wall = real.touched[:, :, BODIES].any(2)
    frames = torch.arange(met.shape[1])
    near = (frames >= GIVEN - 1) & (frames <= first[:, None] + 3)
    rows = (met.sum(1) == 1) & (first >= 6) & (first <= 12) & ~(wall & near).any(1)
    rows = rows.nonzero().flatten()
    truth = real.truth
    steps = torch.arange(met.shape[1] - 1)  # step s leads from frame s to s + 1
    before = (steps >= GIVEN - 1) & (steps < first[:, None] - 1)
    after = (steps >= first[:, None]) & (steps < first[:, None] + 3)

    def mean(errors: Tensor, when: Tensor) -> Estimate:
        both = errors[..., :2].masked_fill(~when[..., None], torch.nan)[rows]
        return _mean(both)

    tracks, own = track(drawn), track(real.frames)
    errors = velocity_errors(tracks, truth)
    old = truth.velocity[rows, first[rows] - 1, :2]
    new = truth.velocity[rows, (first[rows] + 1).clamp(max=met.shape[1] - 1), :2]
    return Collisions(
        mean(errors, before),
        mean(errors, after),
        _mean((new - old).norm(dim=-1)),
        _change(tracks, truth, before, after, rows),
        _change(own, truth, before, after, rows),
        _mean(overlap(tracks, truth)[rows].nan_to_num().amax(1)),
        _mean(overlap(own, truth)[rows].nan_to_num().amax(1)),
        len(rows),
    )


def _change(tracks: Tracks, truth: Truth, before: Tensor, after: Tensor, rows: Tensor) -> Estimate:
    velocity = of_bodies(tracks, truth).center.diff(dim=1)  # [N, T - 1, K, 2]
    total = momentum(velocity, truth.mass, truth.there)
    seen_both = ~velocity[:, :, :2].isnan().any(-1).any(-1)

    def mean(when: Tensor) -> Tensor:
        when = (when & seen_both)[..., None]
        return (total * when).sum(1) / when.sum(1)

    old, new = mean(before)[rows], mean(after)[rows]
    share = (new - old).norm(dim=-1) / old.norm(dim=-1)
    return _mean(share)


# --- surprise -------------------------------------------------------------------------------------


@torch.no_grad()
def surprise(
    system: Sora,
    frames: Tensor,
    levels: Sequence[float] = (0.5, 0.7, 0.85, 0.95),
    draws: int = 2,
    seed: int = 0,
    window: int = 0,
    stride: int = 2,
) -> Tensor:
    """How badly noise is taken off each video: ``[N]``, the mean squared error of clean latents.

    The first three frames are given, no words are; every video meets the same noise.

    Args:
        system: the judge.
        frames: uint8 ``[N, T, 3, H, W]``.
        levels: of noise.
        draws: of noise, at each level.
        seed: of the noise.
        window: frames of a window, whose first three are given; the mean over windows counts. 0:
            the video is one window.
        stride: from the beginning of a window to that of the next, frames.
    """
    if window:
        windows = frames.unfold(1, window, stride).movedim(-1, 2)
        each = surprise(system, windows.flatten(0, 1), levels, draws, seed)
        return each.view(windows.shape[:2]).mean(1)
    path, parts = system.prediction.path, []
    frames = frames.to(system.latent_mean.device)
    generator = torch.Generator().manual_seed(seed)
    shape = frames.shape[1], system.config.latent_channels, *system.config.latent_size
    noise = torch.randn(draws, 1, *shape, generator=generator).to(system.latent_mean.device)
    words = torch.zeros(
        1, system.config.text.length, dtype=torch.long, device=system.latent_mean.device
    )
    text, mask = system.words(words)
    for part in frames.split(BATCH):
        with torch.autocast(
            system.latent_mean.device.type,
            torch.bfloat16,
            enabled=bfloat16_is_fast(system.latent_mean.device),
        ):
            x = system.encode(part).float()
            total = torch.zeros(len(part), device=x.device)
            for eps in noise:
                for number in levels:
                    level = torch.full(x.shape[:2], number, device=x.device)
                    level[:, :GIVEN] = 0.0
                    z = path.mix(x, eps.expand_as(x), level)
                    rows = text.expand(len(x), -1, -1), mask.expand(len(x), -1)
                    guess = system.denoise(z, level, *rows)
                    total += (guess - x)[:, GIVEN:].square().mean((1, 2, 3, 4))
        parts.append(total.cpu() / (draws * len(levels)))
    return torch.cat(parts)


def broken(real: Scene, violation: Violation, at: int = 7) -> tuple[Tensor, Tensor]:
    """The videos with a law broken from frame ``at`` on, uint8; and bool ``[N]``, which differ."""
    wrong = torch.from_numpy(violation(real.state.numpy(), at))
    frames = draw(wrong, tuple(real.frames.shape[-2:]))
    return frames, (frames.int() - real.frames.int()).abs().amax((1, 2, 3, 4)) > 40


def preference(
    system: Sora, real: Scene, violation: Violation, at: int = 7, **options: int
) -> tuple[Estimate, Tensor]:
    """Share of pairs in which what can be surprises less than what cannot; and the differences.

    Pairs whose two videos are alike (bodies that never meet cannot go through each other) are left
    out.
    """
    wrong, differs = broken(real, violation, at)
    if not differs.any():
        raise ValueError("In none of these scenes does the violation change anything: take others.")
    gap = surprise(system, wrong[differs], **options)
    gap = gap - surprise(system, real.frames[differs], **options)
    return mean_estimate((gap > 0).double()), gap


# --- words ----------------------------------------------------------------------------------------


def obeys(
    system: Sora, combinations: str, count: int, seed: int = 0, family: str = "all", **sampler
) -> tuple[Adherence, Tensor]:
    """Adherence to prompts of seen or unseen combinations, and the videos."""
    real = scene(family, count, seed + 17, combinations=combinations)
    drawn = videos(system, real.text, None, seed, **sampler)
    return adherence(drawn, real.text, real.frames, seed), drawn


def diversity(drawn: Tensor) -> float:
    """Mean distance of the first frames of several videos of one prompt, root mean square, 0..1."""
    x = drawn[:, 0].flatten(1).float() / 255
    return float(torch.pdist(x).mean() / x.shape[1] ** 0.5)


def _mean(values: Tensor) -> Estimate:
    """Over what is not nan (nothing: nan); the first axis is the video."""
    rows = torch.arange(len(values)).view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    keep = ~values.isnan()
    if not keep.any():
        return Estimate(float("nan"), n=0)
    return mean_estimate(values[keep].double(), groups=rows[keep])


def _median(values: Tensor) -> float:
    return float(values[~values.isnan()].median()) if (~values.isnan()).any() else float("nan")
