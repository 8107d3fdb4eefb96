"""Rotary positions from a table: the same angles as by the published recipe."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from wmlearn.nn.attention import rotate
from wmlearn.systems.vjepa.rope import grid_positions, rope_table


def published(x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """One axis as in facebookresearch/vjepa2, which computes sines and cosines in every block."""
    half = x.shape[-1] // 2
    angle = position[..., None] / 10_000 ** (torch.arange(half) / half)
    cos, sin = angle.cos().repeat(1, 1, 1, 2), angle.sin().repeat(1, 1, 1, 2)
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * cos + torch.stack((-second, first), -1).flatten(-2) * sin


def by_axes(x: torch.Tensor, index: torch.Tensor, side: int) -> torch.Tensor:
    """All three axes for tokens ``index`` [B, N] of ``x`` [B, heads, N, d]."""
    index = index[:, None].repeat(1, x.shape[1], 1)
    axes = index // side**2, index // side % side, index % side
    third = 2 * (x.shape[-1] // 3 // 2)
    parts = [published(x[..., i * third : (i + 1) * third], a) for i, a in enumerate(axes)]
    return torch.cat([*parts, x[..., 3 * third :]], -1)


def test_the_table_is_the_recipe():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 128, 2, 6, 32, generator=generator)  # [B, N, query or key, heads, d]
    index = torch.rand(8, 256, generator=generator).argsort(1)[:, :128]
    table = rope_table(grid_positions((4, 8, 8)), 32)

    def ours():
        return rotate(x, table[:, index, None, None], "interleaved")

    def theirs():
        return [by_axes(part.transpose(1, 2), index, 8) for part in x.unbind(2)]

    for mine, other in zip(ours().unbind(2), theirs(), strict=True):
        assert_close(mine.transpose(1, 2), other, atol=1e-5, rtol=1e-5)
