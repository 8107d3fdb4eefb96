"""The block of the video transformer: attention, words and MLP, steered by a condition (adaLN).

Legend: B batch, T frames of tokens, S tokens of a frame, D width, h heads, d = D / h, L words,
P frames of the window; G places and n tokens that attend over time together (G = S, n = 1 where
attention is factorized; otherwise G = 1, n = S).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from wmlearn.nn.attention import Attention

Kind = Literal["space", "time", "all", "text", "mlp"]


class Modulation(nn.Module):
    """From c to shift, scale and gate of some sub-layers; all zero at first (adaLN-zero).

    Args:
        dim: D.
        count: sub-layers.
        rank: None: a linear map of c ("full"). Otherwise what a shared map gives is corrected by a
            table and, from rank 1 on, by a linear map of this rank.
    """

    def __init__(self, dim: int, count: int, rank: int | None = None) -> None:
        super().__init__()
        self.count, self.rank = count, rank
        if rank is None:
            self.linear = zeroed(nn.Linear(dim, 3 * count * dim))
        else:
            self.table = nn.Parameter(torch.zeros(3 * count * dim))
            if rank:
                self.down = nn.Linear(dim, rank, bias=False)
                self.up = zeroed(nn.Linear(rank, 3 * count * dim, bias=False))

    def forward(self, c: Tensor, shared: Tensor | None) -> list[tuple[Tensor, Tensor, Tensor]]:
        """``c`` ``[B, T, D]`` -> (shift, scale, gate) ``[B, T, 1, D]`` of each sub-layer.

        Args:
            c: the condition, after its SiLU.
            shared: ``[B, T, 3 count D]``, what the shared map gives; None in "full".
        """
        if self.rank is None:
            given = self.linear(c)
        else:
            given = shared + self.table
            if self.rank:
                given = given + self.up(self.down(c))
        parts = given.unsqueeze(2).chunk(3 * self.count, dim=-1)
        return [parts[3 * i : 3 * i + 3] for i in range(self.count)]


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer, giving zero until it has learned something."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class VideoBlock(nn.Module):
    """A row of sub-layers, each added to x.

    Args:
        dim: D.
        heads: h.
        kinds: what each sub-layer is: attention in "space", in "time", over "all" tokens, to the
            words ("text"; without modulation), or an "mlp".
        mlp: hidden width of the MLP, in multiples of D.
        context_dim: width of the words that "text" looks at; by default D.
        rank: of the modulation; see :class:`Modulation`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kinds: tuple[Kind, ...],
        *,
        mlp: float = 4.0,
        context_dim: int | None = None,
        rank: int | None = None,
    ) -> None:
        super().__init__()
        self.kinds = kinds
        self.layers, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for kind in kinds:
            self.layers[kind] = self._layer(kind, dim, heads, int(mlp * dim), context_dim or dim)
            self.norms[kind] = nn.LayerNorm(dim, 1e-6, elementwise_affine=kind == "text")
        self.modulation = Modulation(dim, sum(kind != "text" for kind in kinds), rank)

    @staticmethod
    def _layer(kind: Kind, dim: int, heads: int, hidden: int, context_dim: int) -> nn.Module:
        if kind == "mlp":
            return nn.Sequential(
                nn.Linear(dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, dim)
            )
        if kind == "text":
            return Attention(dim, heads, context_dim=context_dim)
        return Attention(dim, heads, pairing=None if kind == "space" else "halves")

    def forward(
        self,
        x: Tensor,
        c: Tensor,
        shared: Tensor | None = None,
        *,
        table: Tensor | None = None,
        mask: Tensor | None = None,
        words: Tensor | None = None,
        words_mask: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """``[B, T, S, D]`` -> ``[B, T, S, D]``, and with a past the new keys and values.

        Args:
            x: the tokens.
            c: ``[B, T, D]``, the condition after its SiLU.
            shared: ``[B, T, 3 count D]``; see :class:`Modulation`.
            table: rotary table ``[2, ..., T n, d]`` of the times; None for none.
            mask: bool, broadcast to ``[B G, h, T n, (P n +) T n]``, of the attention over time.
            words: ``[B, L, D']``.
            words_mask: bool ``[B, L]``, which of them there are.
            past: cached keys and values ``[B, G, h, P n, d]``; see :class:`Cache`.
        """
        modulations, new = iter(self.modulation(c, shared)), None
        for kind in self.kinds:
            layer, h = self.layers[kind], self.norms[kind](x)
            if kind == "text":
                seen = None if words_mask is None else words_mask[:, None, None]
                x = x + layer.cross(h.flatten(1, 2), words, seen).view(x.shape)
                continue
            shift, scale, gate = next(modulations)
            h = h * (1 + scale) + shift
            if kind in ("time", "all"):
                h = h.transpose(1, 2) if kind == "time" else h.flatten(1, 2).unsqueeze(1)
                if past is None:
                    y = layer(h, table, mask)
                else:
                    y, *new = layer.look_back(h, table, past, mask)
                y = y.transpose(1, 2) if kind == "time" else y.squeeze(1).view(x.shape)
            else:
                y = layer(h)
            x = torch.addcmul(x, gate, y)
        return x, new
