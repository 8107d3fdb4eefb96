"""The predictor of V-JEPA 2: features of visible tubelets in, guesses of the hidden ones out.

Shapes: B clips, M visible and K hidden tubelets, D the encoder's width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wmlearn.nn.attention import Block
from wmlearn.systems.vjepa.config import EncoderConfig, PredictorConfig
from wmlearn.systems.vjepa.rope import (
    EPS,
    INIT_STD,
    grid_positions,
    init_weights,
    rope_table,
)


class Predictor(nn.Module):
    """A narrow transformer over visible features and mask tokens (V-JEPA 2, section 2.1).

    A mask token says only where it is, through its rotary position; what is there must come from
    the visible features.

    Args:
        config: its own sizes.
        encoder: the sizes of the encoder whose features it reads and predicts.
        outputs: numbers that it predicts for each tubelet; default: a feature's.
    """

    def __init__(
        self, config: PredictorConfig, encoder: EncoderConfig, outputs: int | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(encoder.dim, config.dim)
        self.mask_tokens = nn.Parameter(torch.zeros(config.mask_tokens, config.dim))
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, pairing="interleaved", mlp_ratio=config.mlp_ratio)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim, eps=EPS)
        self.out = nn.Linear(config.dim, outputs or encoder.dim)
        table = rope_table(grid_positions(encoder.grid), config.dim // config.heads)
        self.register_buffer("rope", table, persistent=False)
        init_weights(self, self.blocks)
        # Not zeros, as in the published configurations: the norm of a zero token is zero, so at
        # first it would ask the same at every place.
        nn.init.trunc_normal_(self.mask_tokens, std=INIT_STD)

    def forward(self, features: Tensor, visible: Tensor, hidden: Tensor, kind: int = 0) -> Tensor:
        """The guessed features of ``hidden``.

        The order of tokens does not matter to attention, so they are not sorted as in the
        published code.

        Args:
            features: ``[B, M, D]``, of the visible tubelets.
            visible: int64 ``[B, M]``, which they are.
            hidden: int64 ``[B, K]``, which are asked for.
            kind: number of the mask's kind; it chooses the mask token.

        Returns:
            ``[B, K, D]``.
        """
        x = self.embed(features)
        token = self.mask_tokens[kind % len(self.mask_tokens)].to(x.dtype)
        x = torch.cat([x, token.expand(*hidden.shape, -1)], dim=1)
        table = self.rope[:, torch.cat([visible, hidden], dim=1)]
        for block in self.blocks:
            x = block(x, table)
        return self.out(self.norm(x[:, visible.shape[1] :]))
