"""The video tokenizer, a VQ-VAE of ST transformers (Bruce et al. 2024, section 2.1, ST-ViViT).

Encoder and decoder are causal in time, so a token may say what changed since the frames before,
and a video can be read frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.quantize import FSQ, VectorQuantizer
from wmlearn.nn.st_transformer import STTransformer
from wmlearn.pixels import patchify, unpatchify
from wmlearn.systems.genie.config import TokenizerConfig


@dataclass(frozen=True)
class Tokenized:
    """What the tokenizer makes of a video.

    Attributes:
        codes: int64 ``[B, T, S]``.
        patches: float ``[B, T, S, C p p]``, the reconstruction; -1..1 like the frames.
        loss: scalar, reconstruction and quantizer.
        reconstruction: scalar, mean square error.
    """

    codes: Tensor
    patches: Tensor
    loss: Tensor
    reconstruction: Tensor


class Tokenizer(nn.Module):
    """Frames to tokens and back.

    Args:
        config: its numbers.
        image_channels: C.
        image_size: H = W.
    """

    def __init__(self, config: TokenizerConfig, image_channels: int, image_size: int) -> None:
        super().__init__()
        self.config, self.size = config, (image_size, image_size)
        dim, heads = config.dim, config.heads
        space, patch_dim = (image_size // config.patch) ** 2, image_channels * config.patch**2
        if config.quantizer == "vq":
            self.quantizer = VectorQuantizer(config.num_codes, config.code_dim, config.beta)
        else:
            self.quantizer = FSQ(config.fsq_levels)
        self.encoder_in = nn.Linear(patch_dim, dim)
        self.encoder = STTransformer(dim, config.encoder_depth, heads, space, config.gelu)
        self.to_code = nn.Linear(dim, self.quantizer.dim)
        self.decoder_in = nn.Linear(self.quantizer.dim, dim)
        self.decoder = STTransformer(dim, config.decoder_depth, heads, space, config.gelu)
        self.decoder_out = nn.Linear(dim, patch_dim)

    def forward(self, frames: Tensor) -> Tokenized:
        """float ``[B, T, C, H, W]`` in -1..1 -> :class:`Tokenized`."""
        patches = patchify(frames, self.config.patch)
        quantized = self.quantizer(self.to_code(self.encoder(self.encoder_in(patches))))
        drawn = self._draw(quantized.vectors)
        error = F.mse_loss(drawn, patches)
        loss = error + self.config.quantizer_weight * quantized.loss
        return Tokenized(quantized.codes, drawn, loss, error)

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """float ``[B, T, C, H, W]`` in -1..1 -> tokens int64 ``[B, T, S]``."""
        patches = patchify(frames, self.config.patch)
        return self.quantizer(self.to_code(self.encoder(self.encoder_in(patches)))).codes

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Tokens int64 ``[B, T, S]`` -> frames ``[B, T, C, H, W]`` in -1..1 (hardly beyond)."""
        return unpatchify(self._draw(self.quantizer.vectors(codes)), self.config.patch, self.size)

    @torch.no_grad()
    def decode_step(self, codes: Tensor, time: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One frame ``[B, C, H, W]`` from its tokens ``[B, S]`` and cached earlier frames.

        ``time`` and ``past`` as in ``STTransformer.step``; the second result is the new cache.
        """
        x, new = self.decoder.step(self.decoder_in(self.quantizer.vectors(codes)), time, past)
        frame = unpatchify(self.decoder_out(x)[:, None], self.config.patch, self.size)
        return frame[:, 0], self.decoder.remember(past, new)

    def _draw(self, vectors: Tensor) -> Tensor:
        """Code vectors ``[B, T, S, ...]`` -> patches ``[B, T, S, C p p]``."""
        return self.decoder_out(self.decoder(self.decoder_in(vectors)))
