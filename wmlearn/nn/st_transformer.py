"""The spatio-temporal (ST) transformer of Genie (Bruce et al. 2024, section 2, figure 4).

Attention over all T * S tokens of a video costs (T S)^2. An ST block attends over the S tokens of
each frame (T S^2), then over the T frames at each place, causally (S T^2), then applies one
feed-forward layer: cost grows linearly with the number of frames, except for the small T^2.

Inside, tokens are kept time first, as ``[T, B, S, D]``: then both attentions, over the places of
T * B frames and over the frames of B * S places, take views of them instead of copies.

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
        """``[..., S, D]`` -> ``[..., S, D]``."""
        qkv = self.qkv(x).flatten(0, -3).unflatten(-1, (3, self.heads, -1))
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # [frames, h, S, d]
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

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """All frames of a video: ``[T, B, S, D]`` -> ``[T, B, S, D]``.

        Args:
            x: the frames.
            rotation: cos and sin ``[2, T, d / 2]`` of their times.
        """
        qkv = self._rotated_qkv(x.flatten(1, 2), rotation).unflatten(-1, (3, self.heads, -1))
        q, k, v = (part.permute(1, 2, 0, 3) for part in qkv.unbind(2))  # [B S, h, T, d]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.permute(2, 0, 1, 3).reshape(x.shape))

    def _rotated_qkv(self, x: Tensor, rotation: Tensor) -> Tensor:
        """``[T, N, D]`` -> queries and keys rotated by their frame's time, values: ``[T, N, 3 D]``.

        Rotating the weights, once for each time, gives the same as rotating the N queries and keys
        of each time. As N = B S is larger than D in training, there is less to rotate: a step on a
        CPU takes 0.83 (D = 32) to 0.96 (D = 128) of the time.
        """

        def at_each_time(weight: Tensor) -> Tensor:  # [n, 3 D] -> [T, n, 3 D]
            qk, v = weight.unflatten(-1, (3, self.heads, -1)).split([2, 1], dim=1)
            qk = rotate(qk, rotation[:, :, None, None, None])  # [T, n, 2, h, d]
            return torch.cat([qk, v.expand(len(x), -1, -1, -1, -1)], dim=2).flatten(2)

        weight, bias = at_each_time(self.qkv.weight.T), at_each_time(self.qkv.bias[None])
        return torch.baddbmm(bias, x, weight)

    def step(
        self, x: Tensor, rotation: Tensor, past: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One frame after cached ones: ``[B, S, D]`` -> ``[B, S, D]``, and its keys and values.

        Args:
            x: the frame.
            rotation: cos and sin ``[2, B, d / 2]`` of its time.
            past: keys and values ``[B, S, 2, h, P, d]`` of P earlier frames.
            seen: bool ``[B, P + 1]``, which of the past frames and this one there are.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, 1, -1)).unbind(2)  # [B, S, h, 1, d]
        q, k = (rotate(part, rotation[:, :, None, None, None]) for part in (q, k))
        new = torch.stack([k, v], dim=2)  # [B, S, 2, h, 1, d]
        k, v = torch.cat([past, new], dim=4).flatten(0, 1).unbind(1)
        mask = seen.repeat_interleave(x.shape[1], dim=0)[:, None, None]
        y = F.scaled_dot_product_attention(q.flatten(0, 1), k, v, attn_mask=mask)
        return self.out(y.reshape(x.shape)), new


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

    def __init__(self, dim: int, heads: int, ffn: int = 4, gelu: str = "tanh") -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.spatial, self.temporal = SpatialAttention(dim, heads), TemporalAttention(dim, heads)
        gate = nn.GELU(approximate={"tanh": "tanh", "exact": "none"}[gelu])
        self.ffn = nn.Sequential(nn.Linear(dim, ffn * dim), gate, nn.Linear(ffn * dim, dim))

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """``[T, B, S, D]`` -> ``[T, B, S, D]``."""
        x = x + self.spatial(self.norms[0](x))
        x = x + self.temporal(self.norms[1](x), rotation)
        return x + self.ffn(self.norms[2](x))

    def step(self, x: Tensor, *past: Tensor) -> tuple[Tensor, Tensor]:
        """One frame ``[B, S, D]`` -> ``[B, S, D]``; the rest as in ``TemporalAttention.step``."""
        x = x + self.spatial(self.norms[0](x))
        y, new = self.temporal.step(self.norms[1](x), *past)
        x = x + y
        return x + self.ffn(self.norms[2](x)), new


class STTransformer(nn.Module):
    """A stack of ST blocks over a video of tokens, with learnt places and rotated times.

    Args:
        dim: D.
        depth: blocks.
        heads: h.
        space: S, tokens of a frame.
        gelu: "tanh" or "exact": of the feed-forward layers.
    """

    def __init__(self, dim: int, depth: int, heads: int, space: int, gelu: str = "tanh") -> None:
        super().__init__()
        self.head_width = dim // heads
        self.places = nn.Parameter(0.02 * torch.randn(space, dim))
        self.blocks = nn.ModuleList(STBlock(dim, heads, gelu=gelu) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        for block in self.blocks:  # residual branches start small
            for layer in (block.spatial.out, block.temporal.out, block.ffn[2]):
                nn.init.normal_(layer.weight, std=0.02 / depth**0.5)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, S, D]`` -> ``[B, T, S, D]``; a frame depends on no later one."""
        rotation = rotation_angles(torch.arange(x.shape[1], device=x.device), self.head_width)
        x = (x + self.places).transpose(0, 1).contiguous()  # time first
        for block in self.blocks:
            x = block(x, rotation)
        return self.norm(x).transpose(0, 1)

    def step(self, x: Tensor, time: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One frame after cached ones: equal to the last frame of :meth:`forward`.

        Args:
            x: ``[B, S, D]``.
            time: int64 ``[B]``, the frame's number; as many of the cache's last slots count.
            past: ``[B, depth, S, 2, h, P, d]``, the cache.

        Returns:
            ``[B, S, D]`` and the cache with this frame in its last slot, the oldest one dropped.
        """
        rotation = rotation_angles(time, self.head_width)
        slots = torch.arange(past.shape[5] + 1, device=x.device)
        seen = slots >= past.shape[5] - time[:, None]
        x = x + self.places
        new = []
        for block, kept in zip(self.blocks, past.unbind(1), strict=True):
            x, kv = block.step(x, rotation, kept, seen)
            new.append(kv)
        cache = torch.cat([past[:, :, :, :, :, 1:], torch.stack(new, dim=1)], dim=5)
        return self.norm(x), cache

    def empty_past(self, batch: int, window: int, device: torch.device | None = None) -> Tensor:
        """The cache before the first frame: ``[B, depth, S, 2, h, P, d]`` for P = ``window``."""
        heads = self.blocks[0].spatial.heads
        shape = (batch, len(self.blocks), len(self.places), 2, heads, window, self.head_width)
        return torch.zeros(shape, device=device)
