"""Which clips are judged, and how a world continues them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.evaluation.progress import nothing
from wmlearn.world import FeatureWorld, LatentActionWorld, Needs, World


@torch.inference_mode()
def rollout(
    world: World,
    clip: Clip,
    generator: torch.Generator | None = None,
    actions: Tensor | None = None,
    tick: Callable[[], None] = nothing,
) -> Tensor:
    """Lets the world continue the first ``world.context_frames`` = K frames of each clip.

    Args:
        clip: frames ``[B, T, C, H, W]`` with T > K, or T = K when ``actions`` is given.
        generator: of all randomness in the rollout.
        actions: ``[B, N, ...]``, what to do after frame K - 1; default the clip's own, N = T - K.
        tick: called after each step.

    Returns:
        uint8 ``[B, N, C, H, W]``; entry n is the prediction of ``clip.frames[:, K + n]``.

    Raises:
        ValueError: the clip is too short; or the world gives several frames a step, and the actions
            change within them.
    """
    Needs(frames=True).check("A rollout of frames", world)
    context = world.context_frames
    if clip.length < context:
        raise ValueError(
            f"The world needs {context} context frames, but the clip has {clip.length}: "
            "draw longer clips."
        )
    if actions is None:
        actions = clip.require("actions").actions[:, context - 1 :]
    if actions.shape[1] == 0:
        raise ValueError(
            f"Nothing to predict: the clip's {clip.length} frames are all context; "
            "draw longer clips or pass actions."
        )
    state = world.reset(clip.time(0, context))
    frames = []
    for number, held in enumerate(actions.split(world.chunk, dim=1)):
        if number:
            tick()
        if world.action_a_frame:
            missing = world.chunk - held.shape[1]
            held = torch.cat([held, held[:, -1:].repeat(1, missing, *[1] * (held.ndim - 2))], 1)
            state, step = world.step(state, held, generator)
            frames += [step.frame[:, None] if step.frames is None else step.frames]
            continue
        if not (held == held[:, :1]).all():
            raise ValueError(
                f"This world gives {world.chunk} frames for one action, and here the action "
                f"changes within them: record episodes in which it is held for {world.chunk} steps."
            )
        state, step = world.step(state, held[:, 0], generator)
        frames += [step.frame[:, None] if step.frames is None else step.frames]
    tick()
    return torch.cat(frames, 1)[:, : actions.shape[1]]


def rollout_batches(
    world: World,
    clip: Clip,
    seed: int,
    actions: Tensor | None = None,
    batch_size: int = 32,
    tick: Callable[[], None] = nothing,
) -> Tensor:
    """:func:`rollout` of many clips, ``batch_size`` at a time, with one seed; result on the CPU.

    The generator is the CPU's, so that a seed means the same noise on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, len(clip), batch_size):
        part = slice(start, start + batch_size)
        own = None if actions is None else actions[part]
        parts.append(rollout(world, clip[part], generator, own, tick).cpu())
    return torch.cat(parts)


@torch.inference_mode()
def feature_error(
    world: FeatureWorld,
    clip: Clip,
    horizon: int,
    seed: int,
    actions: Tensor,
    batch_size: int = 32,
    tick: Callable[[], None] = nothing,
) -> Tensor:
    """L1 distance to the true features at every step, float64 ``[B, horizon]``, on the CPU.

    Args:
        world: continues the clip's first T - ``horizon`` frames.
        clip: frames ``[B, T, C, H, W]`` and whatever ``reset`` needs.
        horizon: steps ahead.
        seed: of the world's noise.
        actions: ``[B, horizon, ...]``, what to do.
        batch_size: clips side by side.
        tick: called after each step.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for begin in range(0, len(clip), batch_size):
        rows = slice(begin, begin + batch_size)
        part = clip[rows]
        real = world.encode(part.frames[:, -horizon:])
        state = world.reset(part.time(0, part.length - horizon))
        errors = []
        for t, action in enumerate(actions[rows].unbind(1)):
            state, step = world.step(state, action, generator)
            errors.append((step.features - real[:, t]).abs().mean((-2, -1)))
            tick()
        parts.append(torch.stack(errors, 1).double().cpu())
    return torch.cat(parts)


def infer_batches(world: LatentActionWorld, clip: Clip, batch_size: int = 32) -> Tensor:
    """The latent actions int64 ``[B, T - 1]`` that a world without true ones sees in a clip."""
    rows = range(0, len(clip), batch_size)
    return torch.cat([world.infer_actions(clip[i : i + batch_size]).cpu() for i in rows])


def draw_windows(
    lengths: Sequence[int], episodes: Sequence[int], length: int, count: int, seed: int = 0
) -> list[tuple[int, int]]:
    """Draws windows ``(episode, start)`` of ``length`` frames, each at most once.

    Uniform over all windows that fit into the episodes; all of them when there are fewer than
    ``count``.

    Args:
        lengths: frames in every episode of the store.
        episodes: the episodes to draw from (e.g. the held-out ones).
    """
    fits = [(episode, max(lengths[episode] - length + 1, 0)) for episode in episodes]
    total = sum(room for _, room in fits)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(total, generator=generator)[:count].sort().values.tolist()
    windows, passed = [], 0
    position = iter(fits)
    episode, room = next(position, (0, 0))
    for index in chosen:
        while index >= passed + room:
            passed += room
            episode, room = next(position)
        windows.append((episode, index - passed))
    return windows
