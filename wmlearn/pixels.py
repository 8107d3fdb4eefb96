"""Frames as bytes and as numbers, and cut into patches.

Shapes: B batch, T frames, C channels, H x W pixels, p patch size, S = (H / p)(W / p) patches.
"""

from __future__ import annotations

from torch import Tensor


def to_float(frames: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1], of the same shape."""
    return frames.float().div(127.5).sub(1)


def to_uint8(frames: Tensor) -> Tensor:
    """float, nominally in [-1, 1] -> the nearest uint8 0..255."""
    return frames.clamp(-1, 1).add(1).mul(127.5).round().byte()


def quantize(frames: Tensor) -> Tensor:
    """Clamps to [-1, 1] and cuts to 8 bits, so that dreams have the data's own 256 levels."""
    return frames.clamp(-1, 1).add(1).div(2).mul(255).byte().div(255).mul(2).sub(1)


def patchify(frames: Tensor, patch: int) -> Tensor:
    """``[B, T, C, H, W]`` -> ``[B, T, S, C p p]``, row by row."""
    batch, time, channels, height, width = frames.shape
    x = frames.view(batch, time, channels, height // patch, patch, width // patch, patch)
    return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4, 6).flatten(2, 3)


def unpatchify(x: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """The inverse of :func:`patchify`; ``size``: (H, W)."""
    batch, time = x.shape[:2]
    height, width = size
    x = x.view(batch, time, height // patch, width // patch, -1, patch, patch)
    return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, time, -1, height, width)
