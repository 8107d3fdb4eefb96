"""A world known in closed form: a point on a plane, that moves by what it is told."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch

from wmlearn.world import Step, World


@dataclass(frozen=True)
class Place:
    at: torch.Tensor  # [B, 2]


class Plane(World):
    """A point that moves by the action (continuous), or one step left or right (discrete)."""

    frame_shape, context_frames = (1, 1, 2), 1

    def __init__(self, discrete=False, pixels=False):
        self.discrete, self.pixels = discrete, pixels
        box = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3) if discrete else box

    def reset(self, context):
        return Place(context.frames[:, -1, 0, 0].float())

    def step(self, state, action, generator=None):
        if self.discrete:
            action = torch.tensor([[0.0, 0.0], [10.0, 0.0], [-10.0, 0.0]])[action]
        at = state.at + action
        frame = at.round().clamp(0, 255).byte()[:, None, None] if self.pixels else None
        zero = torch.zeros(len(at))
        return Place(at), Step(frame, zero, zero.bool(), features=at[:, None])
