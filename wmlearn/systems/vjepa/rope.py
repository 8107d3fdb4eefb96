"""Rotary positions over time, height and width, and the transformer block that uses them.

Shapes: B clips, N tokens, D width, heads x d = D.
After facebookresearch/vjepa2, src/models/utils/modules.py; the idea is RoFormer's (Su et al. 2021):
turn queries and keys by an angle that grows with their position, and their product depends only on
how far apart they are.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6
INIT_STD = 0.02


def grid_positions(grid: tuple[int, int, int]) -> Tensor:
    """float32 ``[T * H * W, 3]``: time, height and width of each token, time slowest."""
    axes = [torch.arange(n, dtype=torch.float32) for n in grid]
    return torch.cartesian_prod(*axes).reshape(-1, 3)


def rope_table(positions: Tensor, head_dim: int) -> Tensor:
    """Cosines and signed sines for ``rotate``, float32 ``[2, N, head_dim]``.

    Each of the three axes turns its own third of a head's channels (an even number of them); what
    is left over stays as it is. The published code gives channel c of a third the frequency
    10000^(-(c mod m) / m), where m is half the third's width, though c and c + 1 turn together:
    the two of a pair may thus turn by different angles. The released weights were trained so, and
    so it is kept.

    Args:
        positions: ``[N, 3]``, time, height and width.
        head_dim: channels of a head, at least 6.
    """
    if head_dim < 6:
        raise ValueError(f"A head needs 2 channels for each of 3 axes; got head_dim={head_dim}.")
    third = 2 * (head_dim // 3 // 2)
    half = third // 2
    frequencies = 1 / 10_000 ** (torch.arange(half, dtype=torch.float32) / half)
    angles = positions[:, :, None] * frequencies.repeat(2)  # [N, 3, third]
    angles = F.pad(angles.flatten(1), (0, head_dim - 3 * third))
    sign = torch.tensor([-1.0, 1.0]).repeat(math.ceil(head_dim / 2))[:head_dim]
    return torch.stack([angles.cos(), angles.sin() * sign])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turns pairs of channels: ``x`` [B, N, ..., d], ``table`` [2, N, d] or [2, B, N, d]."""
    cos, sin = table.to(x.dtype).reshape(2, -1, x.shape[1], *[1] * (x.ndim - 3), x.shape[-1])
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    swapped = torch.stack([second, first], dim=-1).flatten(-2)  # on a CPU faster than flip
    return torch.addcmul(x * cos, swapped, sin)


class RopeAttention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads or dim // heads % 2:
            raise ValueError(f"dim={dim} must give each of {heads} heads an even width.")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, table: Tensor, mask: Tensor | None = None) -> Tensor:
        """``x`` [B, N, D]; ``mask`` bool [N, N], true where a row may look at a column."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # [B, N, 3, heads, d]
        qk, v = qkv.split([2, 1], dim=2)  # unlike slices, parts go back in one copy
        q, k, v = (part.transpose(1, 2) for part in (*rotate(qk, table).unbind(2), v[:, :, 0]))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x + attention, then x + MLP, each on normalized input."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attention = RopeAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor, table: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), table, mask)
        return x + self.mlp(self.norm2(x))


def init_weights(module: nn.Module, blocks: nn.ModuleList) -> None:
    """Normal(0, 0.02) cut at two units; what a block adds is made smaller, the deeper it is."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=INIT_STD, a=-2, b=2)
            nn.init.zeros_(part.bias)
    with torch.no_grad():
        for depth, block in enumerate(blocks, start=1):
            block.attention.out.weight.div_(math.sqrt(2 * depth))
            block.mlp[2].weight.div_(math.sqrt(2 * depth))
