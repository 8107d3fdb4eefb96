"""A world that is told in words whether it shows light or dark."""

from __future__ import annotations

import gymnasium
import torch

from wmlearn.nn.text import Vocabulary
from wmlearn.world import PromptedWorld, Step


class Lamp(PromptedWorld):
    """Shows light or dark, as it was told, with a little noise."""

    action_space = gymnasium.spaces.Discrete(1)
    frame_shape = (3, 4, 6)
    words = Vocabulary(("light", "dark"), 3)

    def reset(self, context, prompt=None):
        assert len(context) == 1 and context.frames.shape[1] == 0
        return self.words.encode(prompt)[:, :1]

    def step(self, state, action, generator=None):
        level = torch.where(state == 1, 200, 20).view(-1, 1, 1, 1, 1)
        noise = torch.randint(9, (1, 5, *self.frame_shape), generator=generator)
        frames = (level + noise).byte()
        nothing = torch.zeros(1)
        return state, Step(frames[:, -1], nothing, nothing.bool(), frames=frames)
