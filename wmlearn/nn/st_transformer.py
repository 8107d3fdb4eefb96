"""The spatio-temporal (ST) transformer of Genie (Bruce et al. 2024, section 2, figure 4).

Attention over all T * S tokens of a video costs (T S)^2. An ST block attends over the S tokens of
each frame (T S^2), then over the T frames at each place, causally (S T^2), then applies one
feed-forward layer: cost grows linearly with the number of frames, except for the small T^2.

Shape legend: B batch, T frames, S tokens of a frame, D width, h heads, d = D / h.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """Every token attends to all tokens of its own frame."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, S, D]`` -> ``[B, T, S, D]``."""
        qkv = self.qkv(x).flatten(0, 1).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # 3 x [B T, h, S, d]
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(x.shape))


class TemporalAttention(nn.Module):
    """Every token attends to its own place in this frame and the earlier ones.

    Time enters by rotation of queries and keys (Su et al. 2021), so that only distances count and
    cached keys stay valid when the window moves on.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(
        self,
        x: Tensor,
        rotation: Tensor,
        past: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """``[B, T, S, D]`` -> ``[B, T, S, D]`` and the new keys and values.

        Args:
            x: the frames to compute.
            rotation: cos and sin ``[2, ..., T, d / 2]`` of these frames' times.
            past: keys and values ``[B, S, 2, h, P, d]`` of P earlier frames; then T must be 1.
            seen: bool ``[B, P + 1]``, which of the past frames and this one there are.
        """
        batch, time, space, dim = x.shape
        qkv = self.qkv(x).view(batch, time, space, 3, self.heads, dim // self.heads)
        qkv = qkv.permute(3, 0, 2, 4, 1, 5)  # [3, B, S, h, T, d]
        qk, v = rotate(qkv[:2], rotation), qkv[2]
        q, kv = qk[0], torch.stack([qk[1], v], dim=2)  # [B, S, h, T, d], [B, S, 2, h, T, d]
        k, v = (kv if past is None else torch.cat([past, kv], dim=4)).flatten(0, 1).unbind(1)
        if past is None:
            y = F.scaled_dot_product_attention(q.flatten(0, 1), k, v, is_causal=True)
        else:
            mask = seen.repeat_interleave(space, dim=0)[:, None, None]
            y = F.scaled_dot_product_attention(q.flatten(0, 1), k, v, attn_mask=mask)
        y = y.view(batch, space, self.heads, time, -1).permute(0, 3, 1, 2, 4)
        return self.out(y.reshape(x.shape)), kv


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotates pairs (i, i + d/2) of ``[..., T, d]`` by angles: cos and sin ``[2, ..., d / 2]``."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = rotation.to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def rotation_angles(times: Tensor, width: int, base: float = 100.0) -> Tensor:
    """cos and sin ``[2, ..., d / 2]`` of times ``[...]``; the slowest turns 1 / base a frame."""
    frequency = base ** -torch.linspace(0, 1, width // 2, device=times.device)
    angles = times[..., None].float() * frequency
    return torch.stack([angles.cos(), angles.sin()])


class STBlock(nn.Module):
    """Spatial attention, causal temporal attention, one feed-forward layer; each added to x."""

    def __init__(self, dim: int, heads: int, ffn: int = 4) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.spatial, self.temporal = SpatialAttention(dim, heads), TemporalAttention(dim, heads)
        self.ffn = nn.Sequential(
            nn.Linear(dim, ffn * dim), nn.GELU(approximate="tanh"), nn.Linear(ffn * dim, dim)
        )

    def forward(self, x: Tensor, rotation: Tensor, *past: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, T, S, D]`` -> ``[B, T, S, D]`` and the temporal keys and values."""
        x = x + self.spatial(self.norms[0](x))
        y, kv = self.temporal(self.norms[1](x), rotation, *past)
        x = x + y
        return x + self.ffn(self.norms[2](x)), kv


class STTransformer(nn.Module):
    """A stack of ST blocks over a video of tokens, with learnt places and rotated times.

    Args:
        dim: D.
        depth: blocks.
        heads: h.
        space: S, tokens of a frame.
    """

    def __init__(self, dim: int, depth: int, heads: int, space: int) -> None:
        super().__init__()
        self.head_width = dim // heads
        self.places = nn.Parameter(0.02 * torch.randn(space, dim))
        self.blocks = nn.ModuleList(STBlock(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        for block in self.blocks:  # residual branches start small
            for layer in (block.spatial.out, block.temporal.out, block.ffn[2]):
                nn.init.normal_(layer.weight, std=0.02 / depth**0.5)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, S, D]`` -> ``[B, T, S, D]``; a frame depends on no later one."""
        rotation = rotation_angles(torch.arange(x.shape[1], device=x.device), self.head_width)
        x = x + self.places
        for block in self.blocks:
            x, _ = block(x, rotation)
        return self.norm(x)

    def step(self, x: Tensor, time: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One frame after cached ones: equal to the last frame of :meth:`forward`.

        Args:
            x: ``[B, S, D]``.
            time: int64 ``[B]``, the frame's number; as many of the cache's last slots count.
            past: ``[B, depth, S, 2, h, P, d]``, the cache.

        Returns:
            ``[B, S, D]`` and the cache with this frame in its last slot, the oldest one dropped.
        """
        rotation = rotation_angles(time, self.head_width)[:, :, None, None, None]
        slots = torch.arange(past.shape[5] + 1, device=x.device)
        seen = slots >= past.shape[5] - time[:, None]
        x = (x + self.places)[:, None]
        new = []
        for block, kept in zip(self.blocks, past.unbind(1), strict=True):
            x, kv = block(x, rotation, kept, seen)
            new.append(kv)
        cache = torch.cat([past[:, :, :, :, :, 1:], torch.stack(new, dim=1)], dim=5)
        return self.norm(x)[:, 0], cache

    def empty_past(self, batch: int, window: int, device: torch.device | None = None) -> Tensor:
        """The cache before the first frame: ``[B, depth, S, 2, h, P, d]`` for P = ``window``."""
        heads = self.blocks[0].spatial.heads
        shape = (batch, len(self.blocks), len(self.places), 2, heads, window, self.head_width)
        return torch.zeros(shape, device=device)


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
