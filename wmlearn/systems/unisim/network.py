"""UniSim's networks, and what plays in them: ``system.py`` adds what trains them.

Legend: B clips, T frames, C x H x W a frame, c x h x w its latent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wmlearn.nn.autoencoder import KLAutoencoder
from wmlearn.pixels import to_float
from wmlearn.systems.unisim.actions import ActionCodes, Actions
from wmlearn.systems.unisim.config import SamplerConfig, UniSimConfig
from wmlearn.systems.unisim.simulator import Simulator
from wmlearn.systems.unisim.steps import StepsToGo
from wmlearn.world import World, WorldModel


class UniSimNetwork(nn.Module, WorldModel):
    """Autoencoder, simulator, and two models of the steps that are left.

    Args:
        config: all numbers; ``wmlearn.systems.unisim.PAPER`` is of the paper's size.
    """

    Sampler = SamplerConfig

    def __init__(self, config: UniSimConfig) -> None:
        super().__init__()
        self.config = config
        c, side = config.autoencoder.latent_channels, config.latent_size
        words = config.action.dim if config.words_of("language") else 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.autoencoder = KLAutoencoder(config.autoencoder)
            self.simulator = Simulator(config)
            self.steps_to_go = StepsToGo(config.steps, c, side, words)
            self.judge = StepsToGo(config.steps, c, side, words)  # never shown to a policy
        self.codes = ActionCodes(config)
        # Latents are diffused with unit variance, channel by channel; the scale is measured once.
        self.register_buffer("latent_mean", torch.zeros(c))
        self.register_buffer("latent_std", torch.ones(c))
        self.register_buffer("color_weights", torch.ones(len(config.domains), 4096))

    # --- frames and latents --------------------------------------------------------------------

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``[*, C, H, W]`` -> scaled latents ``[*, c, h, w]``, the distributions' means."""
        z = self.autoencoder.encode(to_float(frames.flatten(0, -4))).mean
        z = (z - _channels(self.latent_mean)) / _channels(self.latent_std)
        return z.unflatten(0, frames.shape[:-3])

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[B, c, h, w]`` -> frames ``[B, C, H, W]``, nominally in [-1, 1]."""
        z = latents * _channels(self.latent_std) + _channels(self.latent_mean)
        return self.autoencoder.decode(z).float()

    # --- playing -------------------------------------------------------------------------------

    def led_to(self, actions: Tensor, domain: Tensor) -> Actions:
        """``[B, T - 1]`` (and a last axis for motions) -> those that led to T frames; none to the
        first one.
        """
        first = torch.zeros_like(actions[:, :1])
        given = self.codes(torch.cat([first, actions], dim=1), domain)
        one = torch.zeros_like(given.key[:, :1], dtype=torch.bool)
        unknown = torch.cat([~one, one.expand(-1, given.key.shape[1] - 1)], dim=1)
        return Actions(
            given.sentence.masked_fill(unknown, -1), given.motion,
            given.valid & ~unknown[..., None], given.key.masked_fill(unknown, -1), domain,
        )  # fmt: skip

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """One of the learned worlds, to be played or planned in (a :class:`UniSimWorld`).

        Args:
            sampler: which one, and how a frame is drawn, or what differs from the config's own way:
                ``{"domain": "fetch", "num_steps": 1}``.
        """
        from wmlearn.systems.unisim.world import UniSimWorld

        return UniSimWorld(self, sampler)


def _channels(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)
