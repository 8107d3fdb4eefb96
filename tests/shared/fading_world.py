"""A world of small landscapes that a held key empties: what the guard and its measure are for."""

from __future__ import annotations

import gymnasium
import torch
from torch import Tensor

from wmlearn.data.likeness import Likeness
from wmlearn.world import Step, World


def landscapes(count: int, seed: int, size: int = 32) -> Tensor:
    """uint8 ``[count, 3, size, size]``: gray ground with steps under a black sky, one hero.

    One in a hundred shows the hero alone, as in a high jump.
    """
    draw = torch.Generator().manual_seed(seed)
    heights = torch.randint(size // 4, size // 2, (count, 4), generator=draw)
    heights = heights.repeat_interleave(size // 4, dim=1)
    heights[::100] = 0
    ground = torch.arange(size, 0, -1)[None, :, None] <= heights[:, None]  # [N, H, W]
    frames = torch.where(ground, 180, 0).to(torch.uint8)[:, None].repeat(1, 3, 1, 1)
    frames[:, 0, 14:18, 14:18] = 250
    return frames


class FadingWorld(World):
    """Action 1 keeps the picture, 0 shifts it by two pixels, 2 leaves of it the hero alone."""

    predicts_reward = False
    idle = 1

    def __init__(self, likeness: Likeness | None = None) -> None:
        self.action_space = gymnasium.spaces.Discrete(3)
        self.frame_shape = (3, 32, 32)
        self.likeness = likeness

    def reset(self, context):
        return context.frames[:, -1]

    def step(self, state, action, generator=None):
        empty = torch.zeros_like(state)
        empty[:, 0, 14:18, 14:18] = 250
        pick = action.view(-1, 1, 1, 1)
        frame = torch.where(pick == 2, empty, torch.where(pick == 0, state.roll(2, -1), state))
        nothing = torch.zeros(len(state))
        return frame, Step(frame, nothing, nothing > 0)
