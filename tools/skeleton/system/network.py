"""The network: past frames and actions in, the change of the picture out.

Shapes: B batch, n context frames, C channels, H x W pixels, D the width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from wmlearn.systems.mymodel.config import MyModelConfig


class Network(nn.Module):
    """What changes in the picture after an action."""

    def __init__(self, config: MyModelConfig) -> None:
        super().__init__()
        n, channels, width = config.context_frames, config.image_channels, config.width
        self.frames_in = nn.Conv2d(n * channels, width, 3, padding=1)
        self.action_in = nn.Embedding(config.num_actions, width)
        self.combine = nn.Linear(n * width, width)
        layers = [nn.Conv2d(width, width, 3, padding=1) for _ in range(config.depth)]
        self.layers = nn.ModuleList(layers)
        self.out = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)  # the first guess: nothing changes
        nn.init.zeros_(self.out.bias)

    def forward(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Frames float ``[B, n, C, H, W]`` in [-1, 1], actions int64 ``[B, n]`` -> [B, C, H, W]."""
        pressed = self.combine(self.action_in(actions).flatten(1))
        x = self.frames_in(frames.flatten(1, 2)) + pressed[:, :, None, None]
        for layer in self.layers:
            x = x + layer(F.silu(x))
        return self.out(F.silu(x))
