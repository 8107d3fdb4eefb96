"""Reward and end, read off the latents: a small addition of ours, so that dreams have returns.

Shapes: B batch, k latents of c channels and h x w positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.systems.gamengen.config import RewardEndConfig

NUM_REWARD_CLASSES = 3  # negative, zero, positive


class RewardEnd(nn.Module):
    """Three convolutions over the last k latents; the reward's sign, and whether it is over."""

    def __init__(
        self, config: RewardEndConfig, num_actions: int, latent_channels: int, latent_size: int
    ) -> None:
        super().__init__()
        self.config = config
        width, k = config.channels, config.frames
        self.action_embedding = nn.Embedding(num_actions, width)
        self.layers = nn.Sequential(
            nn.Conv2d(k * latent_channels, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1), nn.SiLU(),
        )  # fmt: skip
        side = -(-latent_size // 4)
        features = width * side * side + (k - 1) * width
        self.head = nn.Sequential(
            nn.Linear(features, 2 * width), nn.SiLU(), nn.Linear(2 * width, NUM_REWARD_CLASSES + 2)
        )

    def forward(self, latents: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the last step's reward [B, 3] and end [B, 2].

        Args:
            latents: [B, k, c, h, w], the last one is the step's outcome.
            actions: int64 [B, k - 1], between them.
        """
        seen = self.layers(latents.flatten(1, 2)).flatten(1)
        done = self.action_embedding(actions).flatten(1)
        logits = self.head(torch.cat([seen, done], dim=1)).float()
        return logits[:, :NUM_REWARD_CLASSES], logits[:, NUM_REWARD_CLASSES:]

    def loss(self, latents: Tensor, actions: Tensor, reward: Tensor, terminated: Tensor) -> Tensor:
        """Cross-entropies of the last step's reward sign and end, summed: [B]."""
        reward_logits, end_logits = self(latents, actions)
        kind = reward.sign().long() + 1
        return F.cross_entropy(reward_logits, kind, reduction="none") + F.cross_entropy(
            end_logits, terminated.long(), reduction="none"
        )
