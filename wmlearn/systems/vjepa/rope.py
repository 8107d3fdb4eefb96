"""V-JEPA 2's rotary positions over time, height and width, and its initial weights.

Shapes: N tokens, d channels of a head. After facebookresearch/vjepa2, src/models/utils/modules.py;
the attention itself is ``wmlearn.nn.attention``, with channels that turn in "interleaved" pairs.
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
    """Cosines and signed sines for ``nn.attention.rotate``, float32 ``[2, N, head_dim]``.

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
