"""Building blocks that several systems share: normalization, attention, residual blocks.

Shapes: B batch, C channels, H x W pixels, D width of the conditioning vector.
The defaults (32 channels a group, 8 channels a head) are those of DIAMOND's U-Net
(Alonso et al. 2024, appendix; after Dhariwal & Nichol 2021 and Karras et al. 2022).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.attention import attend

CHANNELS_PER_GROUP = 32
CHANNELS_PER_HEAD = 8
EPS = 1e-5


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


def padded(images: Tensor, unit: int) -> Tensor:
    """``[N, C, H, W]`` with its last row and column repeated up to multiples of ``unit``."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % unit, 0, -height % unit), mode="replicate")


def conv1x1(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=1)


def num_groups(channels: int) -> int:
    return max(1, channels // CHANNELS_PER_GROUP)


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(num_groups(channels), channels, eps=EPS)


def silu(x: Tensor) -> Tensor:
    """SiLU, in place where no gradient asks for its input (which autograd would copy first)."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class AdaGroupNorm(nn.Module):
    """Group norm whose gain and bias come from a conditioning vector (the "adaptive" in AdaGN).

    The textbook form is ``group_norm(x) * (1 + gain) + bias``: three passes over the feature
    map. Group norm treats every image apart, so B images of C channels may be read as one image
    of B * C channels, and then gain and bias are the norm's own affine weights: one pass.
    """

    def __init__(self, channels: int, cond_channels: int) -> None:
        super().__init__()
        self.num_groups = num_groups(channels)
        self.linear = nn.Linear(cond_channels, 2 * channels)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``cond`` [B, D] -> [B, C, H, W]."""
        gain, bias = self.linear(cond).chunk(2, dim=1)
        as_one = x if len(x) == 1 else x.reshape(1, -1, *x.shape[2:])  # keeps channels_last
        out = F.group_norm(
            as_one, len(x) * self.num_groups, (1 + gain).flatten(), bias.flatten(), EPS
        )
        return out.view(x.shape)


class SelfAttention2d(nn.Module):
    """Self-attention over the H * W positions of a feature map.

    The residual is taken after the norm, as in DIAMOND's published code.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_heads = max(1, channels // CHANNELS_PER_HEAD)
        self.norm = group_norm(channels)
        self.qkv = conv1x1(channels, 3 * channels)
        self.out = conv1x1(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        x = self.norm(x)
        heads = self.qkv(x).reshape(len(x), 3, self.num_heads, -1, x.shape[2] * x.shape[3])
        q, k, v = heads.transpose(-1, -2).unbind(1)  # each [B, heads, H * W, C / heads]
        y = attend(q, k, v)
        return x + self.out(y.transpose(-1, -2).reshape(x.shape))


class FourierFeatures(nn.Module):
    """Random Fourier features of a scalar (the noise level), fixed at initialization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(1, channels // 2))

    def forward(self, x: Tensor) -> Tensor:
        """[B] -> [B, channels]."""
        angles = 2 * math.pi * x[:, None] @ self.weight
        return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    """norm - SiLU - conv, twice, beside a shortcut; conditioned through both norms."""

    def __init__(
        self, in_channels: int, out_channels: int, cond_channels: int, attention: bool = False
    ) -> None:
        super().__init__()
        self.shortcut = (
            nn.Identity() if in_channels == out_channels else conv1x1(in_channels, out_channels)
        )
        self.norm1 = AdaGroupNorm(in_channels, cond_channels)
        self.conv1 = conv3x3(in_channels, out_channels)
        self.norm2 = AdaGroupNorm(out_channels, cond_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.attention = SelfAttention2d(out_channels) if attention else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """``x`` [B, C_in, H, W], ``cond`` [B, D] -> [B, C_out, H, W]."""
        h = self.conv1(silu(self.norm1(x, cond)))
        h = self.conv2(silu(self.norm2(h, cond)))
        return self.attention(self.shortcut(x) + h)


def res_blocks(
    in_channels: list[int], out_channels: list[int], cond_channels: int, attention: bool
) -> nn.ModuleList:
    """A row of residual blocks, one for each pair of widths."""
    return nn.ModuleList(
        ResBlock(c_in, c_out, cond_channels, attention)
        for c_in, c_out in zip(in_channels, out_channels, strict=True)
    )


def init_lstm(lstm: nn.LSTM | nn.LSTMCell) -> None:
    """Xavier for inputs, orthogonal for the recurrence, forget gates open (bias 1)."""
    for name, parameter in lstm.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(parameter)
        elif "weight_hh" in name:
            nn.init.orthogonal_(parameter)
        else:
            nn.init.zeros_(parameter)
            quarter = parameter.shape[0] // 4
            parameter.data[quarter : 2 * quarter].fill_(1 if "bias_ih" in name else 0)
