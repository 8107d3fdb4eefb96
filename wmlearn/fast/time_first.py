"""The ST transformer with rotated weights, for training in float32.

Its textbook form turns the N = B S queries and keys of every frame. Turning the weights that make
them, once for each frame, gives the same, and as N is larger than D in training, there is less to
turn. Inside, tokens are kept time first, as ``[T, B, S, D]``: then both attentions, over the places
of T * B frames and over the frames of B * S places, take views of them instead of copies. In
bfloat16 neither gains anything.

Shape legend: B batch, T frames, S tokens of a frame, D width, h heads, d = D / h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wmlearn.fast.winograd import is_eager_cpu
from wmlearn.nn.attention import Attention, attend, rotate
from wmlearn.nn.st_transformer import STTransformer, time_table


class FastSTTransformer(STTransformer):
    """``STTransformer`` with the same parameters, in less CPU time.

    Where somebody has put another ``forward`` over a block's attention in time, that one is called.
    """

    @staticmethod
    def fits(layer: STTransformer) -> bool:
        """Whether there is no adaLN."""
        return layer.cond_dim is None

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """``[B, T, S, D]`` -> ``[B, T, S, D]``."""
        wrapped = any("forward" in vars(block.temporal) for block in self.blocks)
        if wrapped or not (torch.is_grad_enabled() and is_eager_cpu(x, self.places)):
            return super().forward(x, cond)
        table = time_table(torch.arange(x.shape[1]), self.head_width)
        x = (x + self.places).transpose(0, 1).contiguous()
        for block in self.blocks:
            x = x + block.spatial(block.norms[0](x))
            x = x + _temporal(block.temporal, block.norms[1](x), table)
            x = x + block.ffn(block.norms[2](x))
        return self.norm(x).transpose(0, 1)


def _temporal(layer: Attention, x: Tensor, table: Tensor) -> Tensor:
    """Causal attention over T of ``[T, B, S, D]``; ``table`` ``[2, T, d]``."""

    def at_each_time(weight: Tensor) -> Tensor:  # [n, 3 D] -> [T, n, 3 D]
        qk, v = weight.unflatten(-1, (3, layer.heads, -1)).split([2, 1], dim=1)
        qk = rotate(qk, table[:, :, None, None, None], layer.pairing)  # [T, n, 2, h, d]
        return torch.cat([qk, v.expand(len(x), -1, -1, -1, -1)], dim=2).flatten(2)

    weight, bias = at_each_time(layer.qkv.weight.T), at_each_time(layer.qkv.bias[None])
    qkv = torch.baddbmm(bias, x.flatten(1, 2), weight).unflatten(-1, (3, layer.heads, -1))
    q, k, v = (part.permute(1, 2, 0, 3) for part in qkv.unbind(2))  # [B S, h, T, d]
    y = attend(q, k, v, causal=True)
    return layer.out(y.permute(2, 0, 1, 3).reshape(x.shape))
