"""Fidelity: how close are predictions to the truth, step by step?

A world of frames is judged by PSNR (with SSIM and feature distance beside it), a world of features
by L1. Both meet the same clips as their baseline, :class:`~wmlearn.world.CopyLastFrame` or
:class:`~wmlearn.world.CopyLastFeatures`, which is a world too and is rolled out like one.

Shapes: S seeds, B clips, K context frames, h steps ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.card import Curve, Fidelity, FidelityAt, Measure
from wmlearn.evaluation.controllability import derangement
from wmlearn.evaluation.progress import nothing
from wmlearn.evaluation.rollout import (
    draw_windows,
    feature_error,
    infer_batches,
    rollout_batches,
)
from wmlearn.metrics import RandomFeatures, frechet_estimate, mean_estimate, psnr, ssim
from wmlearn.world import CopyLastFeatures, CopyLastFrame, FeatureWorld, LatentActionWorld, World

COPIES = {"PSNR": "copy last frame", "L1": "copy last features"}


@dataclass(frozen=True)
class Dreams:
    """The clips of one horizon, and the world's predictions for them.

    Attributes:
        clip: K + h frames.
        groups: int64 ``[B]``, the episode of each clip.
        context: K.
        seeds: S of them.
        score: float64 ``[S, B, h]`` under the true actions: PSNR, or L1 of features.
        baseline: the same of the baseline, ``[B, h]``.
        other: the same of the dream under other actions; ``None`` for passive video.
        other_actions: int64 ``[S, B, h]``, the true names of those; ``None`` where they have none.
        pressed: ``[B, K + h - 1]``, the actions of the dream in the world's own terms.
        frames: uint8 ``[S, B, h, C, H, W]``, the dream; ``None`` in a world of features.
        frames_other: the same under other actions.
        frames_copy: uint8 ``[B, h, C, H, W]``, the baseline's.
    """

    clip: Clip
    groups: Tensor
    context: int
    seeds: tuple[int, ...]
    score: Tensor
    baseline: Tensor
    other: Tensor | None
    other_actions: Tensor | None
    pressed: Tensor
    frames: Tensor | None = None
    frames_other: Tensor | None = None
    frames_copy: Tensor | None = None

    @property
    def horizon(self) -> int:
        return self.baseline.shape[1]

    @property
    def better(self) -> int:
        """1 where a higher score is better (PSNR), -1 where a lower one is (a distance)."""
        return -1 if self.frames is None else 1

    @property
    def target(self) -> Tensor:
        """uint8 ``[B, h, C, H, W]``, what really came."""
        return self.clip.frames[:, self.context :]

    @property
    def start(self) -> Tensor:
        """uint8 ``[B, C, H, W]``, the last context frame."""
        return self.clip.frames[:, self.context - 1]

    @property
    def actions(self) -> Tensor:
        """``[B, h]``, the true ones."""
        return self.clip.actions[:, self.context - 1 :]


def dream(
    world: World,
    store: EpisodeStore,
    windows: Sequence[tuple[int, int]],
    horizon: int,
    seeds: Sequence[int],
    batch_size: int,
    tick: Callable[[], None] = nothing,
) -> Dreams:
    """Rolls out the world under true and under other actions, and the baseline, from ``windows``.

    Other actions are another clip's; in a :class:`LatentActionWorld` they are random codes, and the
    dream's own are those that it infers from the clip.
    """
    context = world.context_frames
    clip = store.clip(windows, context + horizon)
    if tuple(clip.frames.shape[2:]) != tuple(world.frame_shape):
        raise ValueError(
            f"The world makes frames of {list(world.frame_shape)} [C, H, W], the data has "
            f"{list(clip.frames.shape[2:])}: choose data of the environment and size that the "
            "world was trained on."
        )
    latent = isinstance(world, LatentActionWorld)
    pressed = infer_batches(world, clip, batch_size) if latent else clip.actions
    passive = pressed is None
    if passive:  # a passive video: the world must not need the actions
        pressed = torch.zeros(len(clip), clip.length - 1, dtype=torch.int64)
    own = pressed[:, context - 1 :]
    featured = isinstance(world, FeatureWorld)

    def judged(who: World, part: Clip, seed: int, given: Tensor) -> tuple[Tensor, Tensor | None]:
        counted = tick if who is world else nothing
        if featured:
            return feature_error(who, part, horizon, seed, given, batch_size, counted), None
        frames = rollout_batches(who, part, seed, given, batch_size, counted)
        return psnr(frames, part.frames[:, -horizon:]), frames

    true, other, labels = [], [], []
    for seed in seeds:
        true.append(judged(world, clip, seed, own))
        if passive:
            continue
        if latent:
            generator = torch.Generator().manual_seed(seed)
            given = torch.randint(int(world.action_space.n), own.shape, generator=generator)
            if clip.actions is not None:  # what a probe is asked for: no other action is true
                labels.append(clip.actions[:, context - 1 :])
        else:
            given = own[derangement(len(clip), seed)]
            labels.append(given)
        other.append(judged(world, clip, seed, given))
    still = CopyLastFeatures(world) if featured else CopyLastFrame(*_spaces(world))
    baseline, copied = judged(still, clip.time(context - 1, clip.length), 0, own)

    def stack(parts: list[tuple[Tensor, Tensor | None]], which: int) -> Tensor | None:
        return torch.stack([part[which] for part in parts]) if parts else None

    return Dreams(
        clip=clip,
        groups=torch.tensor([episode for episode, _ in windows]),
        context=context,
        seeds=tuple(seeds),
        score=stack(true, 0),
        baseline=baseline,
        other=stack(other, 0),
        other_actions=torch.stack(labels) if labels else None,
        pressed=pressed,
        frames=None if featured else stack(true, 1),
        frames_other=None if featured else stack(other, 1),
        frames_copy=copied,
    )


def _spaces(world: World) -> tuple:
    return world.action_space, world.frame_shape


def fidelity(at: Sequence[FidelityAt], longest: Dreams) -> Fidelity:
    """The card's part: a row for each horizon, and the curve of the longest."""
    measure, unit = ("PSNR", "dB") if longest.better > 0 else ("L1", "L1 of features")
    return Fidelity(measure, unit, longest.better > 0, COPIES[measure], tuple(at), curve(longest))


def fidelity_at(dreams: Dreams, too_short: int, real: Tensor | None) -> FidelityAt:
    """The row of one horizon.

    Args:
        dreams: of this horizon.
        too_short: held-out episodes that are shorter.
        real: uint8 ``[B, C, H, W]``, frames of other episodes, for the feature distance at its
            best; ``None`` where there are not enough.
    """
    groups, seeds = dreams.groups, dreams.seeds
    score, copy = dreams.score[..., -1], dreams.baseline[:, -1]
    gain = dreams.better * (score - copy)
    return FidelityAt(
        horizon=dreams.horizon,
        clips=len(groups),
        episodes=len(groups.unique()),
        too_short=too_short,
        score=mean_estimate(score.mean(0), groups, seeds=seeds),
        baseline=mean_estimate(copy, groups),
        gain=mean_estimate(gain.mean(0), groups, seeds=seeds),
        more=_of_frames(dreams, real) if dreams.frames is not None else (),
    )


def _of_frames(dreams: Dreams, real: Tensor | None) -> tuple[Measure, ...]:
    """SSIM, for frames of 11 x 11 and more, and the feature distance."""
    groups, seeds, target = dreams.groups, dreams.seeds, dreams.target[:, -1]
    last, copied = dreams.frames[:, :, -1], dreams.frames_copy[:, -1]
    measures = []
    if min(target.shape[-2:]) >= 11:
        each = torch.stack([ssim(one, target) for one in last]).mean(0)
        own = mean_estimate(each, groups, seeds=seeds)
        measures.append(Measure("SSIM", own, mean_estimate(ssim(copied, target), groups)))
    extractor = RandomFeatures(target.shape[1])
    features = extractor(target)
    own = frechet_estimate(extractor(last), features, groups, seeds=seeds)
    copy = frechet_estimate(extractor(copied)[None], features, groups)
    floor = None if real is None else frechet_estimate(extractor(real)[None], features, groups)
    return (*measures, Measure("Feature distance", own, copy, floor))


def other_frames(store: EpisodeStore, episodes: Sequence[int], count: int) -> Tensor | None:
    """``count`` frames of other episodes, uint8 ``[count, C, H, W]``; ``None`` if too few."""
    places = draw_windows(store.lengths.tolist(), episodes, 1, count, seed=1)
    return store.clip(places, 1).frames[:, 0] if len(places) == count else None


def curve(dreams: Dreams) -> Curve:
    """The scores of every step up to the horizon."""

    def steps(values: Tensor, seeds: tuple[int, ...] = ()) -> tuple:
        return tuple(mean_estimate(step, dreams.groups, seeds=seeds) for step in values.unbind(1))

    other = dreams.other
    return Curve(
        clips=len(dreams.groups),
        score=steps(dreams.score.mean(0), dreams.seeds),
        baseline=steps(dreams.baseline),
        other_actions=None if other is None else steps(other.mean(0), dreams.seeds),
    )
