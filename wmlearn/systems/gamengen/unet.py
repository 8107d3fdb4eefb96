"""Stable Diffusion 1.x's U-Net, which GameNGen fine-tunes (Rombach et al. 2022).

Attributes are named as in the published files (diffusers' ``UNet2DConditionModel``), so that
weights load as they are. Shapes: B batch, C channels, H x W positions of the latents, N tokens of
width E, D = 4 * channels[0], width of the conditioning vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.attention import attend
from wmlearn.nn.resnet import Downsample2D, ResnetBlock2D, Upsample2D


@dataclass(frozen=True)
class UNetConfig:
    """The sizes of the U-Net; the defaults are Stable Diffusion 1.4's.

    Attributes:
        in_channels: of the noisy latent and its condition together.
        out_channels: of the latent.
        channels: width of each level.
        attention: whether a level has transformers, which look at the tokens.
        layers_per_block: residual blocks of a level; one more on the way up.
        token_dim: E.
        heads: of every attention.
        groups: of the group norms.
        scale_shift: the condition scales and shifts (see ``ResnetBlock2D``); published: adds.
    """

    in_channels: int = 4
    out_channels: int = 4
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    token_dim: int = 768
    heads: int = 8
    groups: int = 32
    scale_shift: bool = False


class CrossAttention(nn.Module):
    """Attention of positions [B, M, C] over tokens [B, N, E], or over themselves."""

    def __init__(self, channels: int, token_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(token_dim, channels, bias=False)
        self.to_v = nn.Linear(token_dim, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:  # [B, N, C] -> [B, heads, N, C / heads]
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        y = attend(split(self.to_q(x)), split(self.to_k(tokens)), split(self.to_v(tokens)))
        return self.to_out[0](y.transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    """A linear layer whose one half gates the other."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.net = nn.ModuleList([GEGLU(channels, wide), nn.Identity(), nn.Linear(wide, channels)])

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    """Self-attention, attention over the tokens, a feed-forward; each beside a shortcut."""

    def __init__(self, channels: int, token_dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1 = CrossAttention(channels, channels, heads)
        self.attn2 = CrossAttention(channels, token_dim, heads)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), tokens)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    """A transformer block over the positions of a feature map [B, C, H, W], beside a shortcut."""

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(config.groups, channels, 1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        block = TransformerBlock(channels, config.token_dim, config.heads)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        y = self.proj_in(self.norm(x)).flatten(2).mT
        for block in self.transformer_blocks:
            y = block(y, tokens)
        return x + self.proj_out(y.mT.reshape(x.shape))


class _Level(nn.Module):
    """Residual blocks of one resolution, each followed by a transformer where there are any."""

    def __init__(self, widths: list[tuple[int, int]], attention: bool, config: UNetConfig) -> None:
        super().__init__()
        cond = 4 * config.channels[0]
        self.resnets = nn.ModuleList(
            ResnetBlock2D(a, b, config.groups, 1e-5, cond, config.scale_shift) for a, b in widths
        )
        self.attentions = nn.ModuleList(Transformer2D(b, config) for _, b in widths if attention)
        self.downsamplers, self.upsamplers = nn.ModuleList(), nn.ModuleList()

    def block(self, i: int, x: Tensor, cond: Tensor, tokens: Tensor) -> Tensor:
        x = self.resnets[i](x, cond)
        return self.attentions[i](x, tokens) if len(self.attentions) else x


class _Middle(nn.Module):
    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        cond = 4 * config.channels[0]
        self.resnets = nn.ModuleList(
            ResnetBlock2D(channels, channels, config.groups, 1e-5, cond, config.scale_shift)
            for _ in range(2)
        )
        self.attentions = nn.ModuleList([Transformer2D(channels, config)])

    def forward(self, x: Tensor, cond: Tensor, tokens: Tensor) -> Tensor:
        x = self.attentions[0](self.resnets[0](x, cond), tokens)
        return self.resnets[1](x, cond)


class TimestepEmbedding(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, 4 * channels)
        self.linear_2 = nn.Linear(4 * channels, 4 * channels)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(features)))


def timestep_features(timestep: Tensor, dim: int) -> Tensor:
    """[B] -> [B, dim], cosines then sines of the timestep at ``dim / 2`` frequencies."""
    half = dim // 2
    exponents = torch.arange(half, device=timestep.device, dtype=torch.float32) / half
    angles = timestep.float()[:, None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class UNet(nn.Module):
    """F_theta: noisy latents with their condition, the timestep and tokens -> [B, C_out, H, W]."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, layers = config.channels, config.layers_per_block
        self.time_embedding = TimestepEmbedding(widths[0])
        self.conv_in = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.down_blocks, skips = nn.ModuleList(), [widths[0]]
        for i, width in enumerate(widths):
            before = widths[max(0, i - 1)]
            pairs = [(before, width)] + [(width, width)] * (layers - 1)
            level = _Level(pairs, config.attention[i], config)
            skips += [width] * layers
            if i < len(widths) - 1:
                level.downsamplers.append(Downsample2D(width, symmetric=True))
                skips.append(width)
            self.down_blocks.append(level)
        self.mid_block = _Middle(widths[-1], config)
        self.up_blocks, before = nn.ModuleList(), widths[-1]
        for i, width in reversed(list(enumerate(widths))):
            pairs = []
            for _ in range(layers + 1):
                pairs.append((before + skips.pop(), width))
                before = width
            level = _Level(pairs, config.attention[i], config)
            if i > 0:
                level.upsamplers.append(Upsample2D(width))
            self.up_blocks.append(level)
        self.conv_norm_out = nn.GroupNorm(config.groups, widths[0], 1e-5)
        self.conv_out = nn.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def forward(
        self, x: Tensor, timestep: Tensor, tokens: Tensor, extra: Tensor | None = None
    ) -> Tensor:
        """Predicts from noisy latents.

        Args:
            x: [B, C_in, H, W], H and W divisible by 2 ** (levels - 1).
            timestep: [B], 0 (clean) to 999 (noise).
            tokens: [B, N, E].
            extra: [B, D], added to the timestep's embedding; None adds nothing.
        """
        cond = self.time_embedding(timestep_features(timestep, self.config.channels[0]))
        if extra is not None:
            cond = cond + extra
        x = self.conv_in(x)
        skips = [x]
        for level in self.down_blocks:
            for i in range(len(level.resnets)):
                x = level.block(i, x, cond, tokens)
                skips.append(x)
            for down in level.downsamplers:
                x = down(x)
                skips.append(x)
        x = self.mid_block(x, cond, tokens)
        for level in self.up_blocks:
            for i in range(len(level.resnets)):
                x = level.block(i, torch.cat([x, skips.pop()], dim=1), cond, tokens)
            for up in level.upsamplers:
                x = up(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
