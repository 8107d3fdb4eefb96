"""A causal tokenizer of video (NVIDIA 2025, "Cosmos", section 4): what comes later changes nothing.

Its parts, in the paper's order: 3-D Haar wavelets cut the video into patches (:func:`haar`), and
convolutions that are factorized into one over space and one over past frames do the rest. The first
frame is treated apart, so that a picture is a video of one frame and T = 1 + a multiple of the
temporal ratio. The bottleneck is continuous (a plain autoencoder) or discrete (FSQ).

Layout and names of the parameters are those of the published weights (diffusers'
``AutoencoderKLCosmos``).

Shapes: B batch, T frames, C channels, H x W pixels; t, c, h, w the same of the latents. Everything
in between is ``[B, T, C, H, W]`` too. Video is float in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.attention import attend
from wmlearn.nn.quantize import FSQ


@dataclass(frozen=True)
class CausalVideoConfig:
    """The sizes of a tokenizer; the defaults are the published CV8x8x8's.

    Attributes:
        image_channels: C.
        latent_channels: c; with ``levels``, their number.
        encoder_channels: widths of the encoder: of its first convolution, then of each block.
        decoder_channels: the decoder's, the finest first, too.
        layers_per_block: residual blocks of a block of the encoder; the decoder has one more.
        patch_size: side of a wavelet patch in time, height and width (2 or 4).
        space_ratio: H / h = W / w.
        time_ratio: (T - 1) / (t - 1).
        attention: the narrowest level attends over space and over past frames (published: yes).
        attention_resolutions: also blocks whose features have one of these heights (published).
        resolution: the height that the latter are reckoned for.
        levels: of FSQ, e.g. (8, 5, 5, 5); empty for continuous latents.
    """

    image_channels: int = 3
    latent_channels: int = 16
    encoder_channels: tuple[int, ...] = (128, 256, 512, 512)
    decoder_channels: tuple[int, ...] = (256, 512, 512, 512)
    layers_per_block: int = 2
    patch_size: int = 4
    space_ratio: int = 8
    time_ratio: int = 8
    attention: bool = True
    attention_resolutions: tuple[int, ...] = (32,)
    resolution: int = 1024
    levels: tuple[int, ...] = ()

    def latent_frames(self, frames: int) -> int:
        """t of a video of T frames.

        Raises:
            ValueError: T is not 1 + a multiple of the temporal ratio.
        """
        if (frames - 1) % self.time_ratio:
            raise ValueError(
                f"The tokenizer takes 1 + a multiple of {self.time_ratio} frames (the first one "
                f"stands apart); got {frames}. Cut or record other clips."
            )
        return 1 + (frames - 1) // self.time_ratio


# --- wavelets ----------------------------------------------------------------------------------


def haar(video: Tensor, patch_size: int) -> Tensor:
    """Video ``[B, T, C, H, W]`` -> patches ``[B, t, C p^3, H / p, W / p]``, t = (T - 1) / p + 1.

    A level takes sums and differences of neighbors in time, height and width, and divides by 8, so
    that the first C channels are means. The first frame is shown p times: a patch of its own.
    """
    x = torch.cat([video[:, :1].expand(-1, patch_size - 1, -1, -1, -1), video], dim=1)
    for _ in range(patch_size.bit_length() - 1):
        x = x.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)).unflatten(1, (-1, 2))
        x = x.permute(0, 1, 2, 5, 7, 3, 4, 6)  # [B, t, 2, 2, 2, C, h, w]
        for axis in (2, 3, 4):
            x = _sum_and_difference(x, axis)
        x = x.flatten(2, 5) / 8
    return x


def inverse_haar(patches: Tensor, patch_size: int, first: bool = True) -> Tensor:
    """The inverse of :func:`haar`.

    Args:
        patches: ``[B, t, C p^3, h, w]``.
        patch_size: p.
        first: they begin with the first frame's patch, of which one frame is left.
    """
    x = patches
    for _ in range(patch_size.bit_length() - 1):
        x = x.unflatten(2, (2, 2, 2, -1))
        for axis in (2, 3, 4):
            x = _sum_and_difference(x, axis)
        x = x.permute(0, 1, 2, 5, 6, 3, 7, 4)  # [B, t, 2, C, h, 2, w, 2]
        x = x.flatten(6, 7).flatten(4, 5).flatten(1, 2)
    return x[:, patch_size - 1 :] if first else x


def _sum_and_difference(x: Tensor, axis: int) -> Tensor:
    """a, b along an axis of two -> a + b, a - b; done twice, it doubles."""
    a, b = x.unbind(axis)
    return torch.stack([a + b, a - b], dim=axis)


# --- layers ------------------------------------------------------------------------------------


class Past:
    """What causal convolutions remember while a video is decoded piece by piece.

    Args:
        before: the last two inputs of each convolution over time, in the order of their use;
            ``None`` where the video begins.
    """

    def __init__(self, before: tuple[Tensor, ...] | None = None) -> None:
        self.first, self._before, self.after = before is None, iter(before or ()), ()

    def extend(self, x: Tensor) -> Tensor:
        """``x`` ``[B, T, ...]`` behind the two frames before it; at first, nothing moved."""
        before = x[:, :1].expand(-1, 2, -1, -1, -1) if self.first else next(self._before).to(x)
        x = torch.cat([before, x], dim=1)
        self.after += (x[:, -2:],)
        return x


class FrameConv(nn.Conv3d):
    """A convolution over height and width, of each frame alone (its kernel is 1 long in time)."""

    def __init__(self, in_channels: int, out_channels: int, side: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, (1, side, side), (1, stride, stride))
        self.pad = side // 2 if stride == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x.flatten(0, 1), self.weight[:, :, 0], self.bias, self.stride[1:], self.pad)
        return y.unflatten(0, x.shape[:2])


class CausalConv(nn.Conv3d):
    """A convolution over a frame and the two before it; before the first it stood still.

    It is written as a 1 x 1 convolution over the channels of three frames.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, (3, 1, 1), (stride, 1, 1))

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        x = (past or Past()).extend(x)
        x = torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], dim=2)[:, :: self.stride[0]]
        weight = self.weight.squeeze(-1).permute(0, 2, 1, 3).flatten(1, 2)[..., None]
        return F.conv2d(x.flatten(0, 1), weight, self.bias).unflatten(0, x.shape[:2])


class FactorizedConv(nn.Module):
    """Over space, then over time."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_s = FrameConv(in_channels, out_channels, 3)
        self.conv_t = CausalConv(out_channels)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        return self.conv_t(self.conv_s(x), past)


class FrameNorm(nn.Module):
    """A group norm of one group that sees each frame alone, and thus no later one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class ResnetBlock(nn.Module):
    """norm - SiLU - convolution, twice, beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = FrameNorm(in_channels)
        self.conv1 = FactorizedConv(in_channels, out_channels)
        self.norm2 = FrameNorm(out_channels)
        self.conv2 = FactorizedConv(out_channels, out_channels)
        same = in_channels == out_channels
        self.conv_shortcut = nn.Identity() if same else FrameConv(in_channels, out_channels, 1)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)), past)
        return self.conv2(F.silu(self.norm2(h)), past) + self.conv_shortcut(x)


class VideoAttention(nn.Module):
    """Attention with one head, beside a shortcut: over a frame's positions, or over past frames."""

    def __init__(self, channels: int, over_time: bool) -> None:
        super().__init__()
        self.over_time = over_time
        self.norm = FrameNorm(channels)
        self.to_q, self.to_k, self.to_v = (FrameConv(channels, channels, 1) for _ in range(3))
        self.to_out = nn.ModuleList([FrameConv(channels, channels, 1)])

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        if past is not None and self.over_time:
            raise ValueError(
                "Attention over time keeps no past here: decode whole videos, or set "
                "attention=False in the tokenizer's configuration."
            )
        normed, size = self.norm(x), x.shape[-2:]
        q, k, v = (layer(normed).flatten(3) for layer in (self.to_q, self.to_k, self.to_v))
        if self.over_time:  # [B, T, C, N] -> [B, N, T, C], else [B, T, N, C]
            q, k, v = (part.permute(0, 3, 1, 2) for part in (q, k, v))
            y = attend(q, k, v, causal=True).permute(0, 2, 3, 1)
        else:
            y = attend(*(part.mT for part in (q, k, v))).mT
        return x + self.to_out[0](y.unflatten(-1, size))


class Downsample(nn.Module):
    """Halves space, time, or both: a strided convolution beside a mean of what it covers."""

    def __init__(self, channels: int, space: bool, time: bool) -> None:
        super().__init__()
        self.conv1 = FrameConv(channels, channels, 3, stride=2) if space else None
        self.conv2 = CausalConv(channels, stride=2) if time else None
        self.conv3 = FrameConv(channels, channels, 1) if space or time else nn.Identity()

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        if self.conv1 is not None:
            x = F.pad(x, (0, 1, 0, 1))
            x = self.conv1(x) + F.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        if self.conv2 is not None:
            pairs = torch.cat([x[:, :1], x], dim=1).unflatten(1, (-1, 2))
            x = self.conv2(x) + pairs.mean(2)
        return self.conv3(x)


class Upsample(nn.Module):
    """Doubles space, time, or both: repeated values, and a convolution beside them."""

    def __init__(self, channels: int, space: bool, time: bool) -> None:
        super().__init__()
        self.conv1 = CausalConv(channels) if time else None
        self.conv2 = FrameConv(channels, channels, 3) if space else None
        self.conv3 = FrameConv(channels, channels, 1) if space or time else nn.Identity()

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        if self.conv1 is not None:
            x = x.repeat_interleave(2, dim=1)
            x = x[:, 1:] if past is None or past.first else x  # of the first frame there is one
            x = self.conv1(x, past) + x
        if self.conv2 is not None:
            x = x.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
            x = self.conv2(x) + x
        return self.conv3(x)


class _Block(nn.Module):
    """Residual blocks, each perhaps with attention, and perhaps a change of resolution."""

    def __init__(self, widths: list[tuple[int, int]], attention: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(a, b) for a, b in widths)
        attends = [b for _, b in widths if attention]
        self.attentions = nn.ModuleList(VideoAttention(b, False) for b in attends)
        self.temp_attentions = nn.ModuleList(VideoAttention(b, True) for b in attends)
        self.downsamplers, self.upsamplers = nn.ModuleList(), nn.ModuleList()

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        for i, resnet in enumerate(self.resnets):
            x = resnet(x, past)
            if len(self.attentions):
                x = self.temp_attentions[i](self.attentions[i](x), past)
        for layer in (*self.downsamplers, *self.upsamplers):
            x = layer(x, past)
        return x


class _Middle(nn.Module):
    """A residual block, attention over space and time, a residual block."""

    def __init__(self, channels: int, attention: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels) for _ in range(2))
        attends = [channels] if attention else []
        self.attentions = nn.ModuleList(VideoAttention(c, False) for c in attends)
        self.temp_attentions = nn.ModuleList(VideoAttention(c, True) for c in attends)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        x = self.resnets[0](x, past)
        for layer in (*self.attentions, *self.temp_attentions):
            x = layer(x, past)
        return self.resnets[1](x, past)


# --- encoder and decoder -----------------------------------------------------------------------


def _halvings(config: CausalVideoConfig) -> tuple[int, int]:
    """How often space and time are still halved behind the wavelets."""
    ratios = config.space_ratio // config.patch_size, config.time_ratio // config.patch_size
    return ratios[0].bit_length() - 1, ratios[1].bit_length() - 1


class Encoder(nn.Module):
    """Video ``[B, T, C, H, W]`` -> features ``[B, t, c, h, w]``."""

    def __init__(self, config: CausalVideoConfig) -> None:
        super().__init__()
        self.patch_size, widths = config.patch_size, config.encoder_channels
        space, time = _halvings(config)
        self.conv_in = FactorizedConv(config.image_channels * config.patch_size**3, widths[0])
        height = config.resolution // config.patch_size
        self.down_blocks = nn.ModuleList()
        for i, (before, width) in enumerate(zip(widths, widths[1:], strict=False)):
            pairs = [(before, width)] + [(width, width)] * (config.layers_per_block - 1)
            block = _Block(pairs, height in config.attention_resolutions)
            if i < len(widths) - 2:
                block.downsamplers.append(Downsample(width, i < space, i < time))
                height //= 2
            self.down_blocks.append(block)
        self.mid_block = _Middle(widths[-1], config.attention)
        self.norm_out = FrameNorm(widths[-1])
        self.conv_out = FactorizedConv(widths[-1], config.latent_channels)

    def forward(self, video: Tensor) -> Tensor:
        x = self.conv_in(haar(video, self.patch_size))
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    """Features ``[B, t, c, h, w]`` -> video ``[B, T, C, H, W]``."""

    def __init__(self, config: CausalVideoConfig) -> None:
        super().__init__()
        self.patch_size, widths = config.patch_size, config.decoder_channels[::-1]
        space, time = _halvings(config)
        self.conv_in = FactorizedConv(config.latent_channels, widths[0])
        self.mid_block = _Middle(widths[0], config.attention)
        height = config.resolution // config.patch_size // 2 ** (len(widths) - 2)
        self.up_blocks = nn.ModuleList()
        for i, (before, width) in enumerate(zip(widths, widths[1:], strict=False)):
            pairs = [(before, width)] + [(width, width)] * config.layers_per_block
            block = _Block(pairs, height in config.attention_resolutions)
            if i < len(widths) - 2:  # as published: time is never doubled in the first block
                doubles = 0 < i <= time
                block.upsamplers.append(Upsample(width, doubles or (i < space > time), doubles))
                height *= 2
            self.up_blocks.append(block)
        self.norm_out = FrameNorm(widths[-1])
        self.conv_out = FactorizedConv(widths[-1], config.image_channels * config.patch_size**3)

    def forward(self, z: Tensor, past: Past | None = None) -> Tensor:
        x = self.mid_block(self.conv_in(z, past), past)
        for block in self.up_blocks:
            x = block(x, past)
        x = self.conv_out(F.silu(self.norm_out(x)), past)
        return inverse_haar(x, self.patch_size, first=past is None or past.first)


class CausalVideoTokenizer(nn.Module):
    """Video to latents, or to codes, and back.

    No scaling factor in here: whoever diffuses the latents scales them.
    """

    def __init__(self, config: CausalVideoConfig) -> None:
        super().__init__()
        self.config, c = config, config.latent_channels
        if config.levels and len(config.levels) != c:
            raise ValueError(f"levels={config.levels} needs latent_channels={len(config.levels)}.")
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.quant_conv, self.post_quant_conv = FrameConv(c, c, 1), FrameConv(c, c, 1)
        self.quantizer = FSQ(config.levels) if config.levels else None

    def encode(self, video: Tensor) -> Tensor:
        """``[B, T, C, H, W]`` in [-1, 1] -> latents ``[B, t, c, h, w]``.

        With FSQ they are rounded, in [-1, 1], and gradients pass straight through.

        Raises:
            ValueError: T is not 1 + a multiple of the temporal ratio.
        """
        self.config.latent_frames(video.shape[1])
        z = self.quant_conv(self.encoder(video)).float()
        if self.quantizer is None:
            return z
        return self.quantizer(z.movedim(2, -1)).vectors.movedim(-1, 2)

    def codes(self, video: Tensor) -> Tensor:
        """``[B, T, C, H, W]`` -> FSQ's codes, int64 ``[B, t, h, w]``."""
        self.config.latent_frames(video.shape[1])
        z = self.quant_conv(self.encoder(video)).float()
        return self.quantizer(z.movedim(2, -1)).codes

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes int64 ``[B, t, h, w]`` -> latents ``[B, t, c, h, w]``."""
        return self.quantizer.vectors(codes).movedim(-1, 2)

    def decode(self, z: Tensor) -> Tensor:
        """Latents ``[B, t, c, h, w]`` -> video ``[B, T, C, H, W]``, nominally in [-1, 1]."""
        return self.decoder(self.post_quant_conv(z)).float()

    def decode_piece(
        self, z: Tensor, past: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The frames of the latents that come next: exactly those of :meth:`decode` for all.

        Args:
            z: ``[B, t, c, h, w]``.
            past: what was returned for the latents before them; ``None`` at the beginning.

        Returns:
            ``[B, t ratio, C, H, W]`` (at the beginning ``ratio - 1`` fewer), and the new past.
        """
        now = Past(past)
        return self.decoder(self.post_quant_conv(z), now).float(), now.after
