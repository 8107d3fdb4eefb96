"""The KL autoencoder of latent diffusion (Rombach et al. 2022, section 3.1), picture by picture.

Its latents are what Stable Diffusion, and every world model that is built on it, diffuses. The
layout and the parameters' names are those of the published weights (diffusers' ``AutoencoderKL``).

Shapes: B batch, C image channels, H x W pixels, c latent channels, h x w = H/f x W/f positions,
where f = patch_size * 2 ** (levels - 1). Pictures are float in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.resnet import Downsample2D, ResnetBlock2D, SpatialAttention2D, Upsample2D


@dataclass(frozen=True)
class AutoencoderConfig:
    """The sizes of an autoencoder; the defaults are Stable Diffusion's (f = 8, 4 latent channels).

    Attributes:
        image_channels: C.
        latent_channels: c.
        channels: width of each level, the finest first.
        layers_per_block: residual blocks of a level of the encoder; the decoder has one more.
        groups: of the group norms.
        patch_size: p x p pixels become channels first (1: none, as published), since width at full
            resolution is what costs.
        attention: whether positions attend to each other at the coarsest resolution.
    """

    image_channels: int = 3
    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    groups: int = 32
    patch_size: int = 1
    attention: bool = True

    @property
    def factor(self) -> int:
        """f, pixels per latent position along a side."""
        return self.patch_size * 2 ** (len(self.channels) - 1)


class Gaussian(NamedTuple):
    """A diagonal normal distribution over latents, ``[B, c, h, w]`` each."""

    mean: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """mean + sigma * noise, with standard normal noise."""
        return self.mean + (0.5 * self.logvar).exp() * noise

    def kl(self) -> Tensor:
        """Kullback-Leibler divergence from the standard normal, in nats, summed: ``[B]``."""
        return 0.5 * (self.mean**2 + self.logvar.exp() - 1 - self.logvar).sum((1, 2, 3))


class _Level(nn.Module):
    """The residual blocks of one resolution, and the change to the next."""

    def __init__(self, widths: list[tuple[int, int]], groups: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock2D(a, b, groups) for a, b in widths)
        self.downsamplers = nn.ModuleList()
        self.upsamplers = nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.downsamplers, *self.upsamplers):
            x = layer(x)
        return x


class _Middle(nn.Module):
    """A residual block, attention, a residual block, at the coarsest resolution."""

    def __init__(self, channels: int, groups: int, attention: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock2D(channels, channels, groups) for _ in range(2))
        attend = SpatialAttention2D(channels, groups) if attention else nn.Identity()
        self.attentions = nn.ModuleList([attend])

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Encoder(nn.Module):
    """Pictures [B, C, H, W] -> features [B, 2 c, h, w]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths, groups, p = config.channels, config.groups, config.patch_size
        self.to_patches = nn.PixelUnshuffle(p) if p > 1 else nn.Identity()
        self.conv_in = nn.Conv2d(config.image_channels * p * p, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            pairs = [(widths[max(0, i - 1)], width)] + [(width, width)] * (
                config.layers_per_block - 1
            )
            level = _Level(pairs, groups)
            if i < len(widths) - 1:
                level.downsamplers.append(Downsample2D(width, symmetric=False))
            self.down_blocks.append(level)
        self.mid_block = _Middle(widths[-1], groups, config.attention)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], 1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(self.to_patches(x))
        for level in self.down_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """Latents [B, c, h, w] -> pictures [B, C, H, W]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths, groups, p = config.channels[::-1], config.groups, config.patch_size
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.mid_block = _Middle(widths[0], groups, config.attention)
        self.up_blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            pairs = [(widths[max(0, i - 1)], width)] + [(width, width)] * config.layers_per_block
            level = _Level(pairs, groups)
            if i < len(widths) - 1:
                level.upsamplers.append(Upsample2D(width))
            self.up_blocks.append(level)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], 1e-6)
        self.conv_out = nn.Conv2d(widths[-1], config.image_channels * p * p, 3, padding=1)
        self.to_pixels = nn.PixelShuffle(p) if p > 1 else nn.Identity()

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(z))
        for level in self.up_blocks:
            x = level(x)
        return self.to_pixels(self.conv_out(F.silu(self.conv_norm_out(x))))


class KLAutoencoder(nn.Module):
    """Pictures to normal distributions over latents, and latents to pictures.

    No scaling factor in here: whoever diffuses the latents scales them to unit variance.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        c = config.latent_channels
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * c, 2 * c, 1), nn.Conv2d(c, c, 1)

    def encode(self, x: Tensor) -> Gaussian:
        """[B, C, H, W] -> a distribution over [B, c, h, w]; H and W divisible by f."""
        mean, logvar = self.quant_conv(self.encoder(x)).float().chunk(2, dim=1)
        return Gaussian(mean, logvar.clamp(-30.0, 20.0))

    def decode(self, z: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, C, H, W], nominally in [-1, 1]."""
        return self.decoder(self.post_quant_conv(z))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Gaussian]:
        """The reconstruction from a sampled latent, and the distribution; noise [B, c, h, w]."""
        latents = self.encode(x)
        return self.decode(latents.sample(noise)), latents


# --- the loss ----------------------------------------------------------------------------------


def color_bins(frames: Tensor) -> Tensor:
    """uint8 RGB ``[B, 3, H, W]`` -> int64 ``[B, H, W]``: bins of 16 levels, 0..4095."""
    r, g, b = (frames.long() >> 4).unbind(1)
    return (r * 16 + g) * 16 + b


def rare_color_weights(
    frames: Tensor, power: float = 0.6, low: float = 0.3, high: float = 15.0
) -> Tensor:
    """float ``[4096]``, what an error in a color counts: its share of all pixels to -``power``.

    A monster is 20 of 4,096 pixels. A mean over pixels can leave it out at hardly any cost, and
    autoencoders that are trained for minutes do; but its colors are rare, and here they weigh more.
    Every bin counts 50 pixels more than were seen. Weights are divided by their mean over these
    counts, then held between ``low`` and ``high``.

    Args:
        frames: uint8 ``[B, 3, H, W]``, a sample of the data.
    """
    counts = torch.bincount(color_bins(frames).flatten(), minlength=4096).double() + 50.0
    share = counts / counts.sum()
    weight = share**-power
    return (weight / (share * weight).sum()).clamp(low, high).float()


def reconstruction_errors(
    drawn: Tensor, real: Tensor, weight: Tensor, absolute: float = 1.0
) -> Tensor:
    """Loss of the reconstruction of each picture: ``[B]``.

    Squared errors, absolute errors, and those of the gradients, which blurring makes large. (The
    published autoencoders take a perceptual loss and a discriminator instead.)

    Args:
        drawn, real: ``[B, C, H, W]`` in [-1, 1].
        weight: ``[B, 1, H, W]``, of the pixels.
        absolute: how much the latter two count; 0 leaves squared errors alone.
    """
    error = drawn - real
    squared = 2 * (weight * error**2).mean((1, 2, 3))
    if not absolute:
        return squared
    size = (weight * error.abs()).mean((1, 2, 3))
    across = (error[..., 1:] - error[..., :-1]).abs().mean((1, 2, 3))
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean((1, 2, 3))
    return squared + absolute * (size + 0.5 * (across + down))
