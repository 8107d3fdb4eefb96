"""The convolutional parts of latent diffusion (Rombach et al. 2022), in the layout of its weights.

The autoencoder and the U-Net are made of them, and so their names are those of the published files
(diffusers' format). Shapes: B batch, C channels, H x W positions, D width of the conditioning
vector.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.attention import attend


class ResnetBlock2D(nn.Module):
    """norm - SiLU - conv, twice, beside a shortcut; the condition is added in between.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        groups: of the group norms.
        eps: of the group norms.
        cond_channels: D; 0 for a block without a condition.
        scale_shift: the condition scales and shifts the second norm's output, instead of being
            added before it (more control for the same cost; the published models add).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int = 32,
        eps: float = 1e-6,
        cond_channels: int = 0,
        scale_shift: bool = False,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.norm1 = nn.GroupNorm(groups, in_channels, eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        if cond_channels:
            width = 2 * out_channels if scale_shift else out_channels
            self.time_emb_proj = nn.Linear(cond_channels, width)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1)
        else:
            self.conv_shortcut = nn.Identity()

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """``x`` [B, C_in, H, W], ``cond`` [B, D] -> [B, C_out, H, W]."""
        h = self.conv1(F.silu(self.norm1(x)))
        if cond is None:
            h = self.norm2(h)
        else:
            extra = self.time_emb_proj(F.silu(cond))[:, :, None, None]
            if self.scale_shift:
                scale, shift = extra.chunk(2, dim=1)
                h = self.norm2(h) * (1 + scale) + shift
            else:
                h = self.norm2(h + extra)
        return self.conv_shortcut(x) + self.conv2(F.silu(h))


class SpatialAttention2D(nn.Module):
    """Self-attention with one head over the H * W positions, beside a shortcut."""

    def __init__(self, channels: int, groups: int = 32, eps: float = 1e-6) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        tokens = self.group_norm(x).flatten(2).mT  # [B, H * W, C]
        q, k, v = (layer(tokens)[:, None] for layer in (self.to_q, self.to_k, self.to_v))
        return x + self.to_out[0](attend(q, k, v)[:, 0]).mT.reshape(x.shape)


class Downsample2D(nn.Module):
    """Halves H and W with a strided convolution.

    Args:
        channels: C.
        symmetric: pad all four sides (the U-Net), or only right and bottom (the autoencoder).
    """

    def __init__(self, channels: int, symmetric: bool) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1 if symmetric else 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x if self.symmetric else F.pad(x, (0, 1, 0, 1)))


class Upsample2D(nn.Module):
    """Doubles H and W by repeating positions, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def zero_(layer: nn.Module) -> nn.Module:
    """A layer that starts at zero, so that the branch that it ends starts as nothing."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer
