"""DIAMOND's reward and termination model R_psi, a CNN-LSTM (Alonso et al. 2024, section 3).

Shapes: B batch, T steps, C channels, H x W pixels. Frames are float in [-1, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.actions import action_embedding
from wmlearn.nn.blocks import conv3x3, init_lstm, padded, res_blocks
from wmlearn.nn.masked import masked_mean
from wmlearn.nn.unet import Encoder
from wmlearn.systems.diamond.config import RewardEndConfig, side_unit

NUM_REWARD_CLASSES = 3  # negative, zero, positive
LSTMState = tuple[Tensor, Tensor]


def reward_class(reward: Tensor) -> Tensor:
    """float rewards -> class 0 (negative), 1 (zero) or 2 (positive)."""
    return reward.sign().long() + 1


class RewardEnd(nn.Module):
    """Reads (frame, action, next frame) step by step; predicts the reward's sign and the end."""

    def __init__(self, config: RewardEndConfig) -> None:
        super().__init__()
        self.config = config
        p, last = config.patch_size, config.channels[-1]
        self.to_patches = nn.PixelUnshuffle(p) if p > 1 else nn.Identity()
        self.conv_in = conv3x3(2 * config.image_channels * p * p, config.channels[0])
        cond = config.cond_channels
        self.encoder = Encoder(config.depths, config.channels, config.attention, cond)
        self.last_blocks = res_blocks([last] * 2, [last] * 2, cond, True)
        self.action_embedding = action_embedding(cond, config.num_actions, config.action_bounds)
        self.unit = side_unit(config)
        side = -(-config.image_size // self.unit)
        self.lstm = nn.LSTM(last * side * side, config.lstm_dim, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(config.lstm_dim, config.lstm_dim),
            nn.SiLU(),
            nn.Linear(config.lstm_dim, NUM_REWARD_CLASSES + 2, bias=False),
        )
        init_lstm(self.lstm)

    def forward(
        self, frames: Tensor, actions: Tensor, next_frames: Tensor, state: LSTMState | None = None
    ) -> tuple[Tensor, Tensor, LSTMState]:
        """``frames``, ``next_frames`` [B, T, C, H, W], ``actions`` [B, T, ...].

        Returns reward logits [B, T, 3], end logits [B, T, 2] and the LSTM's new state.
        """
        batch, steps = actions.shape[:2]
        pairs = torch.cat([frames, next_frames], dim=2).flatten(0, 1)
        cond = self.action_embedding(actions.flatten(0, 1))
        x, _ = self.encoder(self.conv_in(self.to_patches(padded(pairs, self.unit))), cond)
        for block in self.last_blocks:
            x = block(x, cond)
        x, state = self.lstm(x.reshape(batch, steps, -1), state)
        reward_logits, end_logits = self.head(x).split([NUM_REWARD_CLASSES, 2], dim=-1)
        return reward_logits, end_logits, state

    def loss(
        self,
        frames: Tensor,
        actions: Tensor,
        rewards: Tensor,
        terminated: Tensor,
        real: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropies of the reward's class and of the end.

        Args: ``frames`` [B, T + 1, C, H, W], ``actions`` [B, T, ...], ``rewards`` and
            ``terminated`` [B, T];
            ``real`` bool [B, T + 1], false for frames that are padding: no step from or to them
            is learned.
        """
        reward_logits, end_logits, _ = self(frames[:, :-1], actions, frames[:, 1:])
        step = None if real is None else real[:, :-1] & real[:, 1:]

        def loss(logits: Tensor, target: Tensor) -> Tensor:
            return masked_mean(F.cross_entropy(logits.mT, target, reduction="none"), step)

        return loss(reward_logits, reward_class(rewards)), loss(end_logits, terminated.long())
