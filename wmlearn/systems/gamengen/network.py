"""GameNGen's networks, as they play: ``system.py`` adds what trains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wmlearn.nn.autoencoder import KLAutoencoder
from wmlearn.pixels import to_float
from wmlearn.systems.gamengen.config import GameNGenConfig, SamplerConfig
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.reward_end import RewardEnd
from wmlearn.world import World, WorldModel


class GameNGenNetwork(nn.Module, WorldModel):
    """Autoencoder, denoiser of latents, and a small model of reward and end.

    Args:
        config: all numbers; ``wmlearn.systems.gamengen.PAPER`` is the paper's.
    """

    def __init__(self, config: GameNGenConfig) -> None:
        super().__init__()
        self.config = config
        c, size = config.autoencoder.latent_channels, config.latent_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.autoencoder = KLAutoencoder(config.autoencoder)
            self.denoiser = Denoiser(config.denoiser)
            self.reward_end = RewardEnd(config.reward_end, config.denoiser.num_actions, c, size)
        # Latents are diffused with unit variance, channel by channel; the scale is measured once.
        self.register_buffer("latent_mean", torch.zeros(c))
        self.register_buffer("latent_std", torch.ones(c))
        self.register_buffer("color_weights", torch.ones(4096))

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``[*, C, H, W]`` -> scaled latents ``[*, c, h, w]``, the distributions' means."""
        x = to_float(frames.flatten(0, -4))
        z = self.autoencoder.encode(x).mean
        z = (z - _channels(self.latent_mean)) / _channels(self.latent_std)
        return z.unflatten(0, frames.shape[:-3])

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[B, c, h, w]`` -> frames ``[B, C, H, W]``, nominally in [-1, 1]."""
        z = latents * _channels(self.latent_std) + _channels(self.latent_mean)
        return self.autoencoder.decode(z).float()

    Sampler = SamplerConfig

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, to be played or planned in (a :class:`GameNGenWorld`).

        Args:
            sampler: how a frame is drawn, or what differs from the config's own way:
                ``{"num_steps": 1}``.
        """
        from wmlearn.systems.gamengen.world import GameNGenWorld

        return GameNGenWorld(self, sampler)


def _channels(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)
