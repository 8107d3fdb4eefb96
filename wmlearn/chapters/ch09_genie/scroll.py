"""Does a latent action mean the same motion in every level? Seen in how the picture scrolls.

In a platformer the hero stays in the middle and the level moves. So a press shows as a shift of the
whole picture, which needs no label to be measured, in real video as in dreams.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.evaluation.rollout import rollout_batches

MOTIONS = tuple(
    f"{x} {y}".strip() or "still" for y in ("up", "", "down") for x in ("left", "", "right")
)


def scroll(before: Tensor, after: Tensor, reach: tuple[int, int] = (12, 24)) -> Tensor:
    """How far the view moved from one picture to the next, in pixels.

    Every shift is tried; of the part that both pictures show, the mean square error of the gray
    values is taken. The least wins, and of equals the shortest shift.

    Args:
        before, after: uint8 ``[B, C, H, W]``.
        reach: the longest shifts across and up or down (a jump moves CoinRun's by 19 a step).

    Returns:
        int64 ``[B, 2]``: to the right (x), and down (y).
    """
    before, after = before.float().mean(1), after.float().mean(1)
    height, width = before.shape[-2:]
    across, down = (range(-far, far + 1) for far in reach)
    shifts = [(x, y) for x in across for y in down]
    shifts.sort(key=lambda shift: shift[0] ** 2 + shift[1] ** 2)
    errors = []
    for x, y in shifts:
        old = before[..., max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
        new = after[..., max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
        errors.append((old - new).square().mean((1, 2)))
    return torch.tensor(shifts)[torch.stack(errors).argmin(0).cpu()]


def classify_motion(films: Tensor, least: float = 1.0) -> Tensor:
    """Which way the view goes in each film, an index into ``MOTIONS``.

    Args:
        films: uint8 ``[B, T, C, H, W]``.
        least: pixels a step, on average, below which the view counts as still.

    Returns:
        int64 ``[B]``.
    """
    pairs = films[:, :-1].flatten(0, 1), films[:, 1:].flatten(0, 1)
    moved = scroll(*pairs).unflatten(0, (len(films), -1)).float().mean(1)
    x, y = ((moved >= least).long() - (moved <= -least).long() + 1).unbind(-1)
    return 3 * y + x


@dataclass(frozen=True)
class SameMotion:
    """What holding each latent action does in many levels.

    Attributes:
        motions: int64 ``[codes, levels]``, indices into ``MOTIONS``: which way the view went.
    """

    motions: Tensor

    @property
    def usual(self) -> tuple[str, ...]:
        """Of each code, the way that the view goes in most levels."""
        return tuple(MOTIONS[i] for i in self.motions.mode(1).values.tolist())

    @property
    def share(self) -> Tensor:
        """Of each code, the share of levels in which it does that: float ``[codes]``, 0..1."""
        return (self.motions == self.motions.mode(1).values[:, None]).float().mean(1)


def same_motion(
    world, starts: Clip, steps: int = 3, least: float = 1.0, seed: int = 0
) -> SameMotion:
    """Holds each latent action in each level, and looks which way the view goes.

    Args:
        world: has a Discrete ``action_space``; dreams from the clips' first frames.
        starts: one clip a level, ``context_frames`` long at least.
        steps: for which the action is held.
        least: as in :func:`classify_motion`.
        seed: of the dream.
    """
    count, levels = int(world.action_space.n), len(starts)
    context = starts.time(0, world.context_frames)
    motions = []
    for code in range(count):
        pressed = torch.full((levels, steps), code)
        dream = rollout_batches(world, context, seed, pressed)
        motions.append(classify_motion(torch.cat([context.frames[:, -1:].cpu(), dream], 1), least))
    return SameMotion(torch.stack(motions))
