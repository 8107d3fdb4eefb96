"""The predictor of V-JEPA 2-AC: the features of the next frame, given an action and a state.

Shapes: B clips, T frames, N patches of a frame, D the encoder's width, A and S numbers in an
action and a state. V-JEPA 2, section 3.1; facebookresearch/vjepa2, src/models/ac_predictor.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wmlearn.nn.attention import Block
from wmlearn.systems.vjepa.rope import EPS, grid_positions, init_weights, rope_table
from wmlearn.systems.vjepa2_ac.config import ACPredictorConfig

CONDITION_TOKENS = 2  # in front of each frame's patches: its action and its state


def frame_tokens_positions(frames: int, side: int) -> Tensor:
    """``[frames * (2 + side^2), 3]``: action and state have a place in time, and none in space."""
    patches = grid_positions((frames, side, side)).view(frames, -1, 3)
    condition = patches[:, :1].expand(-1, CONDITION_TOKENS, -1)
    return torch.cat([condition, patches], dim=1).flatten(0, 1)


def block_causal_mask(frames: int, tokens: int) -> Tensor:
    """bool ``[frames * tokens, frames * tokens]``: a token sees its own frame and those before."""
    frame = torch.arange(frames).repeat_interleave(tokens)
    return frame[:, None] >= frame


class ACPredictor(nn.Module):
    """Block-causal transformer over [action, state, patches] of each frame."""

    def __init__(self, config: ACPredictorConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.feature_dim, config.dim)
        self.action_encoder = nn.Linear(config.action_dim, config.dim)
        self.state_encoder = nn.Linear(config.state_dim, config.dim)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, pairing="interleaved", mlp_ratio=config.mlp_ratio)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim, eps=EPS)
        self.out = nn.Linear(config.dim, config.feature_dim)
        positions = frame_tokens_positions(config.frames, config.grid_side)
        tokens = CONDITION_TOKENS + config.grid_side**2
        table = rope_table(positions, config.dim // config.heads)
        self.register_buffer("rope", table, persistent=False)
        self.register_buffer("mask", block_causal_mask(config.frames, tokens), persistent=False)
        init_weights(self, self.blocks)

    def forward(self, features: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        """For each frame, the features of the next one.

        Args:
            features: ``[B, T * N, D]``, of frames 0 to T - 1, frame by frame.
            actions: ``[B, T, A]``, what was done after each frame.
            states: ``[B, T, S]``, where the arm was at each frame.

        Returns:
            ``[B, T * N, D]``: at frame t, the guess for frame t + 1.
        """
        frames = actions.shape[1]
        x = self.embed(features).unflatten(1, (frames, -1))  # [B, T, N, dim]
        action = self.action_encoder(actions)[:, :, None]
        state = self.state_encoder(states)[:, :, None]
        x = torch.cat([action, state, x], dim=2).flatten(1, 2)
        length = x.shape[1]
        table, mask = self.rope[:, :length], self.mask[:length, :length]
        for block in self.blocks:
            x = block(x, table, mask)
        x = x.unflatten(1, (frames, -1))[:, :, CONDITION_TOKENS:]
        return self.out(self.norm(x)).flatten(1, 2)
