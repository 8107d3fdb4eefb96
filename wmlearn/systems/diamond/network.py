"""DIAMOND's two networks, as they play: ``system.py`` adds what trains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from wmlearn.systems.diamond.config import DiamondConfig, SamplerConfig
from wmlearn.systems.diamond.denoiser import Denoiser
from wmlearn.systems.diamond.reward_end import RewardEnd
from wmlearn.world import World, WorldModel


class DiamondNetwork(nn.Module, WorldModel):
    """The diffusion model of the next frame, and the model of reward and end.

    Args:
        config: all numbers; ``wmlearn.systems.diamond.PAPER`` is the paper's.
    """

    def __init__(self, config: DiamondConfig) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.denoiser = Denoiser(config.denoiser)
            self.reward_end = RewardEnd(config.reward_end)

    Sampler = SamplerConfig

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, to be played or planned in (a :class:`DiamondWorld`).

        Args:
            sampler: how a frame is drawn, or what differs from the config's own way:
                ``{"num_steps": 1}``.
        """
        from wmlearn.systems.diamond.world import DiamondWorld

        return DiamondWorld(self, sampler)
