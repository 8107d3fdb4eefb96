"""The conditional U-Net of DIAMOND, and the encoder that is its left half.

Shapes: B batch, C channels, H x W pixels, D width of the conditioning vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.blocks import conv3x3, res_blocks


class Downsample(nn.Module):
    """Halves H and W with a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1)
        nn.init.orthogonal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Doubles H and W by repeating every pixel 2x2 times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        x = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)  # XLA can differentiate this
        return self.conv(x.reshape(batch, channels, 2 * height, 2 * width))


class Encoder(nn.Module):
    """Levels of residual blocks, a downsampling between two levels.

    Args:
        depths: residual blocks of each level.
        channels: width of each level.
        attention: whether the blocks of a level attend.
        cond_channels: D.
    """

    def __init__(
        self,
        depths: Sequence[int],
        channels: Sequence[int],
        attention: Sequence[bool],
        cond_channels: int,
    ) -> None:
        super().__init__()
        if not len(depths) == len(channels) == len(attention):
            raise ValueError(
                "depths, channels and attention need one entry per level, but have "
                f"{len(depths)}, {len(channels)} and {len(attention)}."
            )
        self.downs = nn.ModuleList([nn.Identity(), *(Downsample(c) for c in channels[:-1])])
        self.levels = nn.ModuleList()
        for i, depth in enumerate(depths):
            before, here = channels[max(0, i - 1)], channels[i]
            widths_in = [before] + [here] * (depth - 1)
            self.levels.append(
                res_blocks(widths_in, [here] * depth, cond_channels, bool(attention[i]))
            )

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
        """Returns the last feature map, and every level's feature maps for the skips."""
        skips = []
        for down, blocks in zip(self.downs, self.levels, strict=True):
            x = down(x)
            features = [x]
            for block in blocks:
                x = block(x, cond)
                features.append(x)
            skips.append(features)
        return x, skips


class UNet(nn.Module):
    """Encoder, two attending blocks at the bottom, and a decoder fed by all skips.

    H and W are padded to a multiple of ``2 ** (levels - 1)`` and cut back afterwards.
    """

    def __init__(
        self,
        depths: Sequence[int],
        channels: Sequence[int],
        attention: Sequence[bool],
        cond_channels: int,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(depths, channels, attention, cond_channels)
        self.middle = res_blocks([channels[-1]] * 2, [channels[-1]] * 2, cond_channels, True)
        self.ups = nn.ModuleList([nn.Identity(), *(Upsample(c) for c in reversed(channels[:-1]))])
        self.levels = nn.ModuleList()
        for i in reversed(range(len(depths))):
            before, here, depth = channels[max(0, i - 1)], channels[i], depths[i]
            widths_in = [2 * here] * depth + [before + here]
            widths_out = [here] * depth + [before]
            self.levels.append(res_blocks(widths_in, widths_out, cond_channels, bool(attention[i])))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``cond`` [B, D] -> [B, C, H, W]."""
        height, width = x.shape[-2:]
        multiple = 2 ** (len(self.levels) - 1)
        if height % multiple or width % multiple:
            x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        x, skips = self.encoder(x, cond)
        for block in self.middle:
            x = block(x, cond)
        for up, blocks, features in zip(self.ups, self.levels, reversed(skips), strict=True):
            x = up(x)
            for block, skip in zip(blocks, reversed(features), strict=True):
                x = block(torch.cat([x, skip], dim=1), cond)
        return x[..., :height, :width]
