"""Attention, once for all transformers: self or cross, causal or not, with a cache, with adaLN.

    attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V        (Vaswani et al. 2017, equation 1)

Order enters by rotary positions (RoFormer; Su et al. 2021): queries and keys are turned by an angle
that grows with their position, so that their product depends only on how far apart they are, and a
cached key stays valid when the window moves on.

Legend: * any leading axes (batch, frames, places), N queries, M keys, D width, h heads, d = D / h.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Which two channels of a head turn together. "interleaved": 2 i and 2 i + 1, as in RoFormer;
# "halves": i and i + d / 2, as in GPT-NeoX and LLaMA. A checkpoint knows one of them only: with the
# other it runs, and is wrong.
Pairing = Literal["interleaved", "halves"]


# --- rotary positions -----------------------------------------------------------------------------


def rotary_table(angles: Tensor, pairing: Pairing) -> Tensor:
    """Cosines and signed sines for :func:`rotate`: ``[2, ..., N, d]``.

    Args:
        angles: radians ``[..., N, d / 2]``, one for each pair of channels.
        pairing: which channels are a pair.
    """
    cos, sin = angles.cos(), angles.sin()
    if pairing == "halves":
        return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)])
    pairs = torch.stack([cos, cos], -1), torch.stack([-sin, sin], -1)
    return torch.stack([part.flatten(-2) for part in pairs])


def rotate(x: Tensor, table: Tensor, pairing: Pairing) -> Tensor:
    """Turns the pairs of channels of ``x`` ``[*, d]``; ``table`` ``[2, *, d]`` broadcasts."""
    cos, sin = table.to(x.dtype)
    if pairing == "halves":
        first, second = x.chunk(2, dim=-1)
        partner = torch.cat([second, first], dim=-1)
    else:
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        partner = torch.stack([second, first], dim=-1).flatten(-2)  # on a CPU faster than flip
    return torch.addcmul(x * cos, partner, sin)


# --- softmax(Q K^T / sqrt(d)) V -------------------------------------------------------------------


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """Attention of queries over keys and values, by the faster of two ways to compute it.

    Args:
        q: ``[B, h, N, d]``.
        k, v: ``[B, h, M, d]``.
        mask: bool, broadcast to ``[B, h, N, M]``: true where a query may look at a key.
        causal: query n looks at keys 0..n only (N = M).

    Returns:
        ``[B, h, N, d]``.
    """
    if _written_out_is_faster(q, k):
        return attend_written_out(q, k, v, mask, causal)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def attend_written_out(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """The equation as it stands; arguments as :func:`attend`."""
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if causal:
        later = scores.new_full(scores.shape[-2:], -torch.inf).triu(1)
        scores = scores + later
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ v


def attend_past(
    q: Tensor, k: Tensor, v: Tensor, past: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    """Attention over cached keys and values and new ones, without joining the two (a copy).

    Args:
        q, k, v: ``[B, h, N, d]``, of the new tokens.
        past: keys and values ``[B, h, P, d]``.
        mask: bool, broadcast to ``[B, h, N, P + N]``; every query must look at something.

    Returns:
        ``[B, h, N, d]``.
    """
    q = q * q.shape[-1] ** -0.5
    keys, values = past
    scores = torch.cat([q @ keys.mT, q @ k.mT], dim=-1)
    shares = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    of_past, of_new = shares.split([keys.shape[-2], k.shape[-2]], dim=-1)
    return of_past @ values + of_new @ v


def _written_out_is_faster(q: Tensor, k: Tensor) -> bool:
    """PyTorch's fused kernel is slow *backward* on a CPU, in bfloat16 and for short sequences.

    Time of the equation written out, over that of the fused kernel (``benchmarks/attention.py``:
    torch 2.13, one thread of an AMD EPYC with AVX-512 BF16, medians; d = 32, last column 64):

                        B x h x N    512x5x8  512x5x16  32x4x64  8x6x128  8x6x256  4x6x512
        forward and backward, float32   0.82      0.89     1.09     1.15     1.27     1.19
        forward and backward, bfloat16  0.43      0.13     0.20     0.27     0.49     0.48
        forward alone, float32          1.09      1.13     1.29     1.41     1.56     1.26
        forward alone, bfloat16         0.60      1.00     0.89     0.77     0.85     0.62

    Forward alone at a batch of one, as at play, the fused kernel wins in bfloat16 too (1.47).
    """
    if q.device.type != "cpu" or not q.requires_grad:
        return False
    return q.dtype == torch.bfloat16 or k.shape[-2] <= 16


# --- the layers -----------------------------------------------------------------------------------


class Attention(nn.Module):
    """Multi-head attention over the last axis but one.

    Args:
        dim: D, width of the queries' tokens and of the output.
        heads: h.
        pairing: of the rotary positions; None where there are none.
        context_dim: width of other tokens to attend to (cross-attention); None attends to itself.
        bias: of the projections to queries, keys and values.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        pairing: Pairing | None = None,
        context_dim: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if dim % heads or (pairing and dim // heads % 2):
            raise ValueError(f"dim={dim} must give each of {heads} heads an even width.")
        self.heads, self.pairing = heads, pairing
        if context_dim is None:
            self.qkv = nn.Linear(dim, 3 * dim, bias)
        else:
            self.q, self.kv = nn.Linear(dim, dim, bias), nn.Linear(context_dim, 2 * dim, bias)
        self.out = nn.Linear(dim, dim)

    def forward(
        self,
        x: Tensor,
        table: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Self-attention: ``[*, N, D]`` -> ``[*, N, D]``.

        Args:
            x: the tokens.
            table: ``[2, N, d]`` or ``[2, *, N, d]``, of their rotary positions; see
                :func:`rotary_table`.
            mask: bool, broadcast to ``[B, h, N, N]``; true where a row may look at a column.
            causal: token n looks at tokens 0..n only.
        """
        return self._merge(attend(*self._project(x, table), mask, causal), x)

    def cross(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Cross-attention: ``x`` ``[*, N, D]`` over ``context`` ``[*, M, D']`` -> ``[*, N, D]``."""
        q = self._heads(self.q(x))
        k, v = (self._heads(part) for part in self.kv(context).chunk(2, dim=-1))
        return self._merge(attend(q, k, v, mask), x)

    def step(
        self, x: Tensor, table: Tensor | None, past: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """New tokens after cached ones: they look at the past, and all at each other.

        Args:
            x: ``[*, N, D]``.
            table: as in :meth:`forward`, of the new tokens.
            past: ``[*, 2, h, P, d]``, turned keys and values of P earlier tokens; P may be 0.
            mask: bool, broadcast to ``[B, h, N, P + N]``.

        Returns:
            ``[*, N, D]``, and the longer cache ``[*, 2, h, P + N, d]``.
        """
        q, k, v = self._project(x, table)
        cache = torch.cat([past.flatten(0, -5), torch.stack([k, v], dim=1)], dim=3)
        y = attend(q, *cache.unbind(1), mask)
        return self._merge(y, x), cache.view(*past.shape[:-4], *cache.shape[1:])

    def look_back(
        self, x: Tensor, table: Tensor | None, past: tuple[Tensor, Tensor], mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`step`, for a cache that somebody else keeps: it is read, and not made longer.

        Args:
            x: ``[*, N, D]``.
            table: as in :meth:`forward`, of the new tokens.
            past: turned keys, and values, ``[*, h, P, d]`` each.
            mask: bool, broadcast to ``[B, h, N, P + N]``.

        Returns:
            ``[*, N, D]``, and the new tokens' turned keys and values ``[*, h, N, d]``.
        """
        q, k, v = self._project(x, table)
        keys, values = (part.flatten(0, -4).to(q.dtype) for part in past)
        y = attend_past(q, k, v, (keys, values), mask)
        lead = x.shape[:-2]
        return self._merge(y, x), k.unflatten(0, lead), v.unflatten(0, lead)

    def look_back_in_place(
        self, x: Tensor, table: Tensor | None, past: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One new frame whose tokens each look at themselves and at their own place in the past.

        With one query for each place, products and sums take 0.4 of the fused kernel's time.

        Args:
            x: ``[B, S, D]``.
            table: as in :meth:`forward`, of the new frame: ``[2, B, 1, d]``.
            past: ``[B, 2, P, S, h, d]``, turned keys, and values, of P earlier frames.
            seen: bool ``[B, P]``, which of these frames count.

        Returns:
            ``[B, S, D]``, and the new frame's turned keys and values ``[B, 2, S, h, d]``.
        """
        q, k, v = self._turned(x, table)
        q = q * q.shape[-1] ** -0.5
        keys, values = past.unbind(1)
        scores = (keys * q[:, None]).sum(-1).masked_fill(~seen[..., None, None], -torch.inf)
        shares = torch.cat([scores, (k * q).sum(-1)[:, None]], dim=1).softmax(1)[..., None]
        y = (values * shares[:, :-1]).sum(1) + v * shares[:, -1]
        return self.out(y.flatten(-2)), torch.stack([k, v], dim=1)

    def _project(self, x: Tensor, table: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """``[*, N, D]`` -> turned queries and keys, and values, each ``[B, h, N, d]``."""
        q, k, v = self._turned(x, table)
        return self._heads_first(q), self._heads_first(k), self._heads_first(v)

    def _turned(self, x: Tensor, table: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """``[*, N, D]`` -> turned queries and keys, and values, each ``[*, N, h, d]``."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # [*, N, 3, h, d]
        qk, v = qkv.split([2, 1], dim=-3)  # unlike slices, parts go back in one copy
        if table is not None:
            qk = rotate(qk, table.unsqueeze(-2).unsqueeze(-2), self.pairing)
        return *qk.unbind(-3), v.squeeze(-3)

    def _heads(self, x: Tensor) -> Tensor:
        """``[*, N, D]`` -> ``[B, h, N, d]``, all leading axes in one."""
        return self._heads_first(x.unflatten(-1, (self.heads, -1)))

    def _heads_first(self, x: Tensor) -> Tensor:
        """``[*, N, h, d]`` -> ``[B, h, N, d]``, all leading axes in one."""
        return (x if x.ndim == 4 else x.flatten(0, -4)).transpose(1, 2)

    def _merge(self, y: Tensor, x: Tensor) -> Tensor:
        """Heads ``[B, h, N, d]`` -> the output ``[*, N, D]``, of the shape of ``x``."""
        return self.out(y.transpose(1, 2).reshape(x.shape))


class AdaLayerNorm(nn.LayerNorm):
    """Layer norm whose shift and scale come from a condition, and a gate for what follows it.

    The "adaLN-zero" of DiT (Peebles & Xie 2023): at first the gate is 0, so a residual branch adds
    nothing.

    Args:
        dim: D.
        cond_dim: width of the condition.
        eps: of the norm.
    """

    def __init__(self, dim: int, cond_dim: int, eps: float = 1e-6) -> None:
        super().__init__(dim, eps, elementwise_affine=False)
        self.modulation = nn.Linear(cond_dim, 3 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` ``[*, N, D]``, ``cond`` ``[*, 1 or N, D']`` -> the norm ``[*, N, D]``, the gate."""
        shift, scale, gate = self.modulation(F.silu(cond)).chunk(3, dim=-1)
        return super().forward(x) * (1 + scale) + shift, gate


def layer_norm(dim: int, cond_dim: int | None = None, eps: float = 1e-6) -> nn.LayerNorm:
    """A layer norm; with a condition, an :class:`AdaLayerNorm`."""
    return nn.LayerNorm(dim, eps) if cond_dim is None else AdaLayerNorm(dim, cond_dim, eps)


def normed(norm: nn.LayerNorm, x: Tensor, cond: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What a residual branch reads, and the gate of what it adds (None without a condition)."""
    return (norm(x), None) if cond is None else norm(x, cond)


def add_gated(x: Tensor, y: Tensor, gate: Tensor | None) -> Tensor:
    """x + gate y."""
    return x + y if gate is None else torch.addcmul(x, gate, y)


class Block(nn.Module):
    """A pre-norm transformer block: x + attention, then x + MLP, each on normalized input.

    Args:
        dim: D.
        heads: h.
        pairing: of the rotary positions; None where there are none.
        mlp_ratio: hidden width of the MLP, in multiples of D.
        cond_dim: width of a condition that modulates both norms (adaLN); None for none.
        context_dim: width of other tokens, to which a cross-attention between attention and MLP
            looks; None for none.
        gelu: of the MLP: "exact", or its "tanh" approximation.
        bias: of the projections to queries, keys and values.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        pairing: Pairing | None = None,
        mlp_ratio: float = 4.0,
        cond_dim: int | None = None,
        context_dim: int | None = None,
        gelu: Literal["exact", "tanh"] = "exact",
        bias: bool = True,
    ) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = layer_norm(dim, cond_dim)
        self.attention = Attention(dim, heads, pairing=pairing, bias=bias)
        if context_dim is not None:
            self.norm_cross = layer_norm(dim)
            self.cross_attention = Attention(dim, heads, context_dim=context_dim, bias=bias)
        self.norm2 = layer_norm(dim, cond_dim)
        gate = nn.GELU(approximate="none" if gelu == "exact" else gelu)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), gate, nn.Linear(hidden, dim))

    def forward(
        self,
        x: Tensor,
        table: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
        cond: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        """``[*, N, D]`` -> ``[*, N, D]``.

        Args:
            x, table, mask, causal: as in :meth:`Attention.forward`.
            cond: ``[*, 1 or N, D']`` for adaLN.
            context: ``[*, M, D']`` for cross-attention.
        """
        h, gate = normed(self.norm1, x, cond)
        x = add_gated(x, self.attention(h, table, mask, causal), gate)
        return self._rest(x, cond, context)

    def step(
        self,
        x: Tensor,
        table: Tensor | None,
        past: Tensor,
        mask: Tensor | None = None,
        cond: Tensor | None = None,
        context: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`forward` for new tokens after cached ones; see :meth:`Attention.step`."""
        h, gate = normed(self.norm1, x, cond)
        y, cache = self.attention.step(h, table, past, mask)
        return self._rest(add_gated(x, y, gate), cond, context), cache

    def _rest(self, x: Tensor, cond: Tensor | None, context: Tensor | None) -> Tensor:
        if context is not None:
            x = x + self.cross_attention.cross(self.norm_cross(x), context)
        h, gate = normed(self.norm2, x, cond)
        return add_gated(x, self.mlp(h), gate)
