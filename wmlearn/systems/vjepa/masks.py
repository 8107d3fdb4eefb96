"""Multi-block masks over the full duration (V-JEPA, Bardes et al. 2024, section 3.2).

Video repeats itself: what is hidden at one moment can be copied from the next. So a mask hides
the same places in all frames, and the places come in large blocks.

Shapes: B clips, T x H x W tubelets, M visible and K hidden ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wmlearn.nn.noise import SampleNoise
from wmlearn.systems.vjepa.config import MaskConfig


def block_size(config: MaskConfig, height: int, width: int, aspect: Tensor) -> tuple[Tensor, ...]:
    """Rows and columns of a block of each ``aspect`` [...], int64; never larger than the frame."""
    area = int(height * width * config.scale)
    rows = (area * aspect).sqrt().round().clamp(1, height).long()
    columns = (area / aspect).sqrt().round().clamp(1, width).long()
    return rows, columns


def counts(config: MaskConfig, height: int, width: int) -> tuple[int, int]:
    """How many places are visible and how many hidden: the same for every clip."""
    places = height * width
    hidden = max(1, round(config.hidden * places))
    visible = max(1, min(places - hidden, round(config.visible * places)))
    return visible, hidden


def draw_blocks(config: MaskConfig, height: int, width: int, noise: SampleNoise) -> Tensor:
    """The places that the blocks cover, bool ``[B, H, W]``."""
    batch, (low, high) = len(noise.generators), config.aspect
    aspect = low + (high - low) * noise.uniform(batch, config.blocks)
    rows, columns = block_size(config, height, width, aspect)  # [B, blocks]
    top = (noise.uniform(batch, config.blocks) * (height - rows + 1)).long()
    left = (noise.uniform(batch, config.blocks) * (width - columns + 1)).long()
    y = torch.arange(height, device=top.device)
    x = torch.arange(width, device=top.device)
    in_rows = (y >= top[..., None]) & (y < (top + rows)[..., None])
    in_columns = (x >= left[..., None]) & (x < (left + columns)[..., None])
    return (in_rows[..., :, None] & in_columns[..., None, :]).any(1)


def draw_mask(
    config: MaskConfig, grid: tuple[int, int, int], noise: SampleNoise
) -> tuple[Tensor, Tensor]:
    """Draws one mask for each clip of a batch.

    The union of the blocks has another size for each clip. The hidden places are the fixed number
    of them with the highest score, where a place in a block scores 1 and chance breaks ties; the
    visible ones are those with the lowest. So a few places may be neither.

    Args:
        config: number, size and shape of the blocks.
        grid: ``(T, H, W)``.
        noise: one stream of random numbers for each clip.

    Returns:
        ``visible`` int64 [B, M] and ``hidden`` int64 [B, K]: token numbers, ascending.
    """
    _, height, width = grid
    inside = draw_blocks(config, height, width, noise).flatten(1)
    order = (inside + 0.5 * noise.uniform(*inside.shape)).argsort(1)
    seen, guessed = counts(config, height, width)
    return _all_times(order[:, :seen], grid), _all_times(order[:, -guessed:], grid)


def _all_times(places: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Places ``[B, n]`` in a frame -> sorted token numbers ``[B, T * n]`` in all frames."""
    time, height, width = grid
    start = torch.arange(time, device=places.device) * (height * width)
    return (places.sort(1).values[:, None] + start[:, None]).flatten(1)
