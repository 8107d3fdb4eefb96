"""Sora's networks, and how a video is drawn: ``system.py`` adds what trains them.

Shapes: B videos, T frames, L words, C x H x W a frame, c x h x w its latent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wmlearn.nn import diffusion
from wmlearn.nn.autoencoder import KLAutoencoder
from wmlearn.nn.text import Vocabulary, WordEncoder
from wmlearn.nn.video_transformer import VideoTransformer
from wmlearn.pixels import to_float, to_uint8
from wmlearn.systems.sora.config import SamplerConfig, SoraConfig
from wmlearn.world import World, WorldModel, choose_sampler

NOISIEST = (
    0.999  # where the sampler starts; at 1 a prediction of the noise says nothing of the data
)

PREDICTIONS = {
    "x": diffusion.XPrediction(diffusion.RectifiedFlow()),
    "flow": diffusion.FlowPrediction(),
    "eps": diffusion.EpsilonPrediction(diffusion.RectifiedFlow()),
    "v": diffusion.VPrediction(diffusion.Cosine()),
}


class SoraNetwork(nn.Module, WorldModel):
    """Autoencoder of frames, encoder of words, and a transformer that denoises videos.

    Args:
        config: all numbers.
    """

    def __init__(self, config: SoraConfig) -> None:
        super().__init__()
        self.config = config
        text = config.text
        self.vocabulary = Vocabulary(text.words, text.length)
        self.prediction = PREDICTIONS[config.prediction]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.autoencoder = KLAutoencoder(config.autoencoder) if config.autoencoder else None
            self.words = WordEncoder(
                len(self.vocabulary), text.length, text.dim, text.depth, text.heads
            )
            self.transformer = VideoTransformer(config.transformer)
        # Latents are diffused with unit variance, channel by channel; the scale is measured once.
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.full((config.latent_channels,), 0.5))

    # --- frames and latents -----------------------------------------------------------------------

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``[*, C, H, W]`` -> scaled latents ``[*, c, h, w]``."""
        x = to_float(frames.flatten(0, -4))
        z = self.autoencoder.encode(x).mean if self.autoencoder else x
        z = (z - _channels(self.latent_mean)) / _channels(self.latent_std)
        return z.unflatten(0, frames.shape[:-3])

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[*, c, h, w]`` -> uint8 ``[*, C, H, W]``."""
        z = latents.flatten(0, -4) * _channels(self.latent_std) + _channels(self.latent_mean)
        x = self.autoencoder.decode(z).float() if self.autoencoder else z
        return to_uint8(x).unflatten(0, latents.shape[:-3])

    # --- drawing a video --------------------------------------------------------------------------

    def denoise(
        self, z: Tensor, level: Tensor, text: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The estimate of the clean latents ``[B, T, c, h, w]``; level ``[B, T]``."""
        return self.prediction.x_hat(self.output(z, level, text, mask), z, level)

    def output(self, z: Tensor, level: Tensor, text: Tensor | None, mask: Tensor | None) -> Tensor:
        """What the transformer says, float32 ``[B, T, c, h, w]``; arguments as of ``denoise``."""
        when = None
        if self.config.frame_features:
            numbers = torch.arange(z.shape[1], device=z.device)
            when = frame_features(numbers, self.config.frame_features).expand(len(z), -1, -1)
        level = self.prediction.c_noise(level)
        return self.transformer(z, level, text=text, text_mask=mask, conditioning=when).float()

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        numbers: Tensor,
        given: Tensor | None = None,
        sampler: SamplerConfig | None = None,
    ) -> Tensor:
        """Videos from words, and from their first frames where those are given.

        Args:
            noise: standard normal ``[B, T, c, h, w]``; all the randomness there is.
            numbers: int64 ``[B, L]``, the words; 0 for none.
            given: ``[B, k, c, h, w]``, the first k frames' latents; None for none.
            sampler: how; by default the config's own way.

        Returns:
            Latents ``[B, T, c, h, w]``; the given frames are in them as they came.
        """
        sampler = sampler or self.config.sampler
        if given is None or not sampler.window:
            return self._together(noise, numbers, given, sampler)
        while (known := given.shape[1]) < noise.shape[1]:
            kept = given[:, -sampler.overlap :]
            part = noise[:, known - kept.shape[1] :][:, : sampler.window]
            drawn = self._together(part, numbers, kept, sampler)
            given = torch.cat([given, drawn[:, kept.shape[1] :]], dim=1)
            numbers = torch.zeros_like(numbers)  # a sentence is about a video's beginning
        return given

    def _together(
        self, noise: Tensor, numbers: Tensor, given: Tensor | None, sampler: SamplerConfig
    ) -> Tensor:
        """All frames of a window at once; arguments as of :meth:`sample`."""
        text, mask = self.words(numbers)
        levels = diffusion.linear_schedule(sampler.num_steps, NOISIEST)
        levels = diffusion.shifted(levels, sampler.shift)[:, None].repeat(1, noise.shape[1])
        z = self.prediction.path.sigma(levels[0, :1]).item() * noise
        if given is not None:
            z = torch.cat([given, z[:, given.shape[1] :]], dim=1)
            levels[:, : given.shape[1]] = 0.0
        if sampler.guidance == 1:

            def denoise(z: Tensor, level: Tensor) -> Tensor:
                return self.denoise(z, level, text, mask)
        else:
            both, masks = text.repeat(2, 1, 1), torch.cat([mask, torch.zeros_like(mask)])

            def denoise_both(z: Tensor, level: Tensor) -> Tensor:
                return self.denoise(z, level, both, masks)

            denoise = diffusion.guided(denoise_both, sampler.guidance)
        return diffusion.sample(denoise, self.prediction.path, z, levels)

    def generate(
        self,
        texts: Sequence[str],
        first: Tensor | None = None,
        generator: torch.Generator | None = None,
        sampler: SamplerConfig | Mapping[str, Any] | None = None,
        frames: int | None = None,
    ) -> Tensor:
        """A video for each text: uint8 ``[B, T, C, H, W]``.

        Args:
            texts: B sentences; an empty one asks for anything.
            first: uint8 ``[B, k, C, H, W]``, frames that the videos begin with.
            generator: of the noise.
            sampler: how, or what differs from the config's own way.
            frames: T; by default the config's.

        Raises:
            UnknownWord: a word that the model has never read.
        """
        config, device = self.config, self.latent_mean.device
        numbers = self.vocabulary.encode(texts).to(device)
        shape = len(texts), frames or config.frames, config.latent_channels, *config.latent_size
        source = generator.device if generator is not None else device
        noise = torch.randn(shape, generator=generator, device=source).to(device)
        given = None if first is None else self.encode(first.to(device))
        latents = self.sample(noise, numbers, given, choose_sampler(config.sampler, sampler))
        drawn = self.decode(latents)
        if first is None:
            return drawn
        return torch.cat([first.to(device), drawn[:, first.shape[1] :]], dim=1)

    Sampler = SamplerConfig

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, which is told in words what to show (a :class:`SoraWorld`).

        Args:
            sampler: how a video is drawn, or what differs from the config's own way.
        """
        from wmlearn.systems.sora.world import SoraWorld

        return SoraWorld(self, sampler)


def frame_features(numbers: Tensor, count: int) -> Tensor:
    """Sines and cosines of frame numbers ``[T]``: ``[T, count]``, float32.

    Waves of 64 frames at the longest, three to an octave: within a video of 16 frames the longest
    ones rise all the way, so that a product with a speed says how far something has come.
    """
    waves = 2 ** (torch.arange(count // 2, device=numbers.device) / 3) / 64
    angles = 2 * math.pi * numbers[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _channels(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)
