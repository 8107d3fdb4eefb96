"""Genie's three networks, as they play: ``system.py`` adds what trains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wmlearn.pixels import to_float
from wmlearn.systems.genie.config import GenieConfig, SamplerConfig
from wmlearn.systems.genie.dynamics import Dynamics
from wmlearn.systems.genie.latent_action import (
    LatentActionModel,
    action_view,
    action_view_shape,
)
from wmlearn.systems.genie.tokenizer import Tokenizer
from wmlearn.world import World, WorldModel


class GenieNetwork(nn.Module, WorldModel):
    """The tokenizer, the latent action model and the dynamics model.

    Args:
        config: all numbers; ``wmlearn.systems.genie.PAPER`` is the paper's.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__()
        self.config = config
        channels, size, space = config.image_channels, config.image_size, config.tokens_per_frame
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.tokenizer = Tokenizer(config.tokenizer, channels, size)
            view = action_view_shape(config.actions, channels, size)
            if config.actions.sees == "tokens":
                view = space, self.tokenizer.quantizer.dim
            self.actions = LatentActionModel(config.actions, *view)
            self.dynamics = Dynamics(
                config.dynamics, config.tokenizer.vocabulary, config.actions.action_dim, space
            )

    def infer_actions(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, T, C, H, W]`` -> latent actions int64 ``[B, T - 1]`` between the frames."""
        floats = to_float(frames)
        tokens = self.tokenizer.encode(floats) if self.config.actions.sees == "tokens" else None
        return self.actions.infer(self._action_input(floats, tokens))

    def _action_input(self, frames: Tensor, tokens: Tensor | None) -> Tensor:
        """What the latent action model sees: patches of pixels, or the tokens' vectors."""
        if self.config.actions.sees == "tokens":
            return self.tokenizer.quantizer.vectors(tokens).detach()
        return action_view(frames, self.config.actions)

    Sampler = SamplerConfig

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, played with latent actions (a :class:`GenieWorld`).

        Args:
            sampler: how a frame's tokens are drawn, or what differs from the config's own way:
                ``{"steps": 8, "temperature": 1.0}``.
        """
        from wmlearn.systems.genie.world import GenieWorld

        return GenieWorld(self, sampler)
