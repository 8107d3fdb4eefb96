"""How much of an evaluation fits into a minute, where nothing else is said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.rollout import draw_windows, infer_batches
from wmlearn.world import LatentActionWorld, World

SECONDS = 45.0  # for the dreams; the probe, the costs and a system's own questions come on top
FULL = 64, (0, 1, 2)
LEAST = 8  # clips; fewer horizons rather than fewer of these
TIMED = 8  # clips side by side


@dataclass(frozen=True)
class Extent:
    """How much is judged.

    Attributes:
        horizons: steps ahead.
        clips: for each horizon.
        seeds: of the dreams.
    """

    horizons: tuple[int, ...]
    clips: int
    seeds: tuple[int, ...]


def extent(clip_seconds: float, horizons: Sequence[int], seconds: float = SECONDS) -> Extent:
    """As much as fits.

    Args:
        clip_seconds: that one step of one clip takes.
        horizons: as wanted; the longest go where not even ``LEAST`` clips have time.
        seconds: to spend.
    """
    clips, seeds = FULL
    kept = sorted(horizons)
    while len(kept) > 1 and 2 * LEAST * clip_seconds * sum(kept) > seconds:
        kept = kept[:-1]
    steps = 2 * sum(kept)  # under true and under other actions
    if clips * len(seeds) * steps * clip_seconds > seconds:
        seeds = seeds[:1]
        clips = max(LEAST, min(clips, int(seconds / (steps * clip_seconds))))
    return Extent(tuple(kept), clips, seeds)


def time_step(world: World, store: EpisodeStore, episodes: Sequence[int]) -> float:
    """Seconds that one step of one clip takes, with ``TIMED`` clips side by side.

    Args:
        world: what is judged.
        store: the episodes.
        episodes: those that are held out.

    Returns:
        0 where no held-out episode is long enough: the evaluation will say so.
    """
    context = world.context_frames
    windows = draw_windows(store.lengths.tolist(), episodes, context + 1, TIMED)
    if not windows or tuple(store.frame_shape) != tuple(world.frame_shape):
        return 0.0
    clip = store.clip(windows, context + 1)
    if isinstance(world, LatentActionWorld):
        actions = infer_batches(world, clip)
    elif clip.actions is None:
        actions = torch.zeros(len(clip), context, dtype=torch.int64)
    else:
        actions = clip.actions
    action, generator = actions[:, -1], torch.Generator().manual_seed(0)
    if world.action_a_frame:
        action = action[:, None].repeat(1, world.chunk, *[1] * (action.ndim - 1))
    times = []
    with torch.inference_mode():
        for _ in range(3):  # the first one warms up
            state = world.reset(clip.time(0, context))
            begun = time.perf_counter()
            world.step(state, action, generator)
            times.append(time.perf_counter() - begun)
    return min(times[1:]) / len(clip) / world.chunk
