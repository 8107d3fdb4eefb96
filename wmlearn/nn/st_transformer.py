"""The spatio-temporal (ST) transformer of Genie (Bruce et al. 2024, section 2, figure 4).

Attention over all T * S tokens of a video costs (T S)^2. An ST block attends over the S tokens of
each frame (T S^2), then over the T frames at each place, causally (S T^2), then applies one
feed-forward layer: cost grows linearly with the number of frames, except for the small T^2.

Shape legend: B batch, T frames, S tokens of a frame, D width, h heads, d = D / h.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wmlearn.nn.attention import Attention, add_gated, layer_norm, normed, rotary_table


def time_table(times: Tensor, width: int, base: float = 100.0) -> Tensor:
    """Rotary table ``[2, ..., d]`` of times ``[...]``; the slowest pair turns 1 / base a frame.

    Time enters by rotation of queries and keys, so only distances count, and cached keys stay valid
    when the window moves on.
    """
    frequency = base ** -torch.linspace(0, 1, width // 2, device=times.device)
    return rotary_table(times[..., None].float() * frequency, "halves")


class STBlock(nn.Module):
    """Spatial attention, causal temporal attention, one feed-forward layer; each added to x.

    Args:
        dim: D.
        heads: h.
        ffn: hidden width of the feed-forward layer, in multiples of D.
        gelu: "tanh" or "exact": of the feed-forward layer.
        cond_dim: width of a condition that modulates the three norms (adaLN); None for none.
    """

    def __init__(
        self, dim: int, heads: int, ffn: int = 4, gelu: str = "tanh", cond_dim: int | None = None
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(layer_norm(dim, cond_dim, eps=1e-5) for _ in range(3))
        self.spatial = Attention(dim, heads)
        self.temporal = Attention(dim, heads, pairing="halves")
        gate = nn.GELU(approximate={"tanh": "tanh", "exact": "none"}[gelu])
        self.ffn = nn.Sequential(nn.Linear(dim, ffn * dim), gate, nn.Linear(ffn * dim, dim))

    def forward(self, x: Tensor, table: Tensor, cond: Tensor | None = None) -> Tensor:
        """All frames of a video: ``[B, T, S, D]`` -> ``[B, T, S, D]``.

        Args:
            x: the tokens.
            table: ``[2, T, d]``, of the frames' times.
            cond: ``[B, T, 1, D']`` for adaLN, one for each frame.
        """
        h, gate = normed(self.norms[0], x, cond)
        x = add_gated(x, self.spatial(h), gate)
        h, gate = normed(self.norms[1], x, cond)
        y = self.temporal(h.transpose(1, 2), table, causal=True)  # [B, S, T, D]
        return self._feed_forward(add_gated(x, y.transpose(1, 2), gate), cond)

    def step(
        self, x: Tensor, table: Tensor, past: Tensor, seen: Tensor, cond: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One frame after cached ones: ``[B, S, D]`` -> ``[B, S, D]``, and what to cache of it.

        Args:
            x: the frame's tokens.
            table: ``[2, B, 1, d]``, of its time.
            past: keys and values ``[B, 2, P, S, h, d]`` of P earlier frames.
            seen: bool ``[B, P]``, which of the past frames there are.
            cond: ``[B, 1, D']`` for adaLN.

        Returns:
            ``[B, S, D]``, and the frame's keys and values ``[B, 2, S, h, d]``.
        """
        h, gate = normed(self.norms[0], x, cond)
        x = add_gated(x, self.spatial(h), gate)
        h, gate = normed(self.norms[1], x, cond)
        y, new = self.temporal.look_back_in_place(h, table, past, seen)
        return self._feed_forward(add_gated(x, y, gate), cond), new

    def _feed_forward(self, x: Tensor, cond: Tensor | None) -> Tensor:
        h, gate = normed(self.norms[2], x, cond)
        return add_gated(x, self.ffn(h), gate)


class STTransformer(nn.Module):
    """A stack of ST blocks over a video of tokens, with learned places and rotated times.

    Args:
        dim: D.
        depth: blocks.
        heads: h.
        space: S, tokens of a frame.
        gelu: "tanh" or "exact": of the feed-forward layers.
        cond_dim: width of a condition for each frame (adaLN); None for none.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        space: int,
        gelu: str = "tanh",
        cond_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.head_width, self.cond_dim = heads, dim // heads, cond_dim
        self.places = nn.Parameter(0.02 * torch.randn(space, dim))
        self.blocks = nn.ModuleList(
            STBlock(dim, heads, gelu=gelu, cond_dim=cond_dim) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        for block in self.blocks:  # residual branches start small
            for layer in (block.spatial.out, block.temporal.out, block.ffn[2]):
                nn.init.normal_(layer.weight, std=0.02 / depth**0.5)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """``[B, T, S, D]`` -> ``[B, T, S, D]``; a frame depends on no later one.

        Args:
            x: the tokens.
            cond: ``[B, T, 1, D']`` for adaLN.
        """
        table = time_table(torch.arange(x.shape[1], device=x.device), self.head_width)
        x = x + self.places
        for block in self.blocks:
            x = block(x, table, cond)
        return self.norm(x)

    def step(
        self, x: Tensor, time: Tensor, past: Tensor, cond: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One frame after cached ones: equal to the last frame of :meth:`forward`.

        Args:
            x: ``[B, S, D]``.
            time: int64 ``[B]``, the frame's number; as many of the cache's last slots count.
            past: ``[B, depth, 2, P, S, h, d]``, the cache.
            cond: ``[B, 1, D']`` for adaLN.

        Returns:
            ``[B, S, D]``, and each block's keys and values of the frame, for :meth:`remember`.
        """
        table = time_table(time, self.head_width)[:, :, None]
        seen = torch.arange(past.shape[3], device=x.device) >= past.shape[3] - time[:, None]
        x = x + self.places
        new = []
        for block, kept in zip(self.blocks, past.unbind(1), strict=True):
            x, of_frame = block.step(x, table, kept, seen, cond)
            new.append(of_frame)
        return self.norm(x), tuple(new)

    def remember(self, past: Tensor, new: tuple[Tensor, ...]) -> Tensor:
        """The cache with the new frame in its last slot, the oldest one dropped."""
        return torch.cat([past[:, :, :, 1:], torch.stack(new, dim=1)[:, :, :, None]], dim=3)

    def empty_past(self, batch: int, window: int, device: torch.device | None = None) -> Tensor:
        """The cache before the first frame: ``[B, depth, 2, P, S, h, d]`` for P = ``window``."""
        depth, space = len(self.blocks), len(self.places)
        shape = (batch, depth, 2, window, space, self.heads, self.head_width)
        return torch.zeros(shape, device=device)
