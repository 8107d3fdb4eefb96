"""Cosmos's networks, as they play: ``system.py`` and ``base.py`` add what trains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.nn.causal_video import CausalVideoTokenizer
from wmlearn.pixels import to_float
from wmlearn.systems.cosmos.config import CosmosConfig, SamplerConfig
from wmlearn.systems.cosmos.denoiser import Denoiser
from wmlearn.world import World, WorldModel


class OverTokenizerNetwork(nn.Module):
    """A tokenizer, and one model of what it gives: what Cosmos's two families share.

    A subclass names the model's attribute, and its config's, in ``part``, and builds it.

    Args:
        config: has ``tokenizer``, ``seed`` and what the model asks for, as ``CosmosConfig``.
    """

    part: str

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.tokenizer = CausalVideoTokenizer(config.tokenizer)
            setattr(self, self.part, self.build_model())
        self.register_buffer("color_weights", torch.ones(4096))

    @property
    def action_dim(self) -> int:
        """Numbers of an action; 0 for a model without."""
        return getattr(self.config, self.part).action_dim

    def build_model(self) -> nn.Module:
        """The model of what the tokenizer gives."""
        raise NotImplementedError

    def actions_of(self, actions: Tensor, latents: int) -> Tensor | None:
        """Actions between frames -> those that led to each latent.

        The frames of a latent come of as many actions, and the network sees them all: an action
        that changes inside a chunk takes effect at its own frame. The first latent is one picture,
        which nothing led to: there they are 0.

        Args:
            actions: ``[B, T - 1, action_dim]``, from the first frame of the first latent on.
            latents: t; what is missing at the end is 0.

        Returns:
            ``[B, t, A]``; None for a model without actions.
        """
        if not self.action_dim:
            return None
        ratio = self.config.tokenizer.time_ratio
        whole = actions.new_zeros(len(actions), latents * ratio, actions.shape[-1])
        kept = actions[:, : (latents - 1) * ratio]
        whole[:, ratio : ratio + kept.shape[1]] = kept
        return whole.unflatten(1, (latents, ratio)).flatten(2)


class CosmosNetwork(OverTokenizerNetwork, WorldModel):
    """Tokenizer, and the diffusion model of its latents.

    Args:
        config: all numbers; ``wmlearn.systems.cosmos.PAPER_7B`` is the paper's.
    """

    part = "denoiser"
    Sampler = SamplerConfig

    def __init__(self, config: CosmosConfig) -> None:
        super().__init__(config)
        # Latents are diffused with the deviation sigma_data; their scale is measured once.
        c = config.tokenizer.latent_channels
        self.register_buffer("latent_mean", torch.zeros(c))
        self.register_buffer("latent_std", torch.ones(c))

    def build_model(self) -> Denoiser:
        return Denoiser(self.config)

    # --- frames and latents ----------------------------------------------------------------------

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, T, C, H, W]``, T = 1 + a multiple of the ratio -> ``[B, t, c, h, w]``."""
        return self.scaled(self.tokenizer.encode(to_float(frames)))

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[B, t, c, h, w]`` -> video ``[B, T, C, H, W]``, about in [-1, 1]."""
        return self.tokenizer.decode(self.unscaled(latents))

    def scaled(self, z: Tensor) -> Tensor:
        """Latents of the tokenizer -> those that are diffused."""
        factor = self.config.denoiser.sigma_data / self.latent_std
        return (z - _channels(self.latent_mean)) * _channels(factor)

    def unscaled(self, z: Tensor) -> Tensor:
        """The inverse."""
        factor = self.latent_std / self.config.denoiser.sigma_data
        return z * _channels(factor) + _channels(self.latent_mean)

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, to be driven in (a :class:`CosmosWorld`).

        Args:
            sampler: how frames are drawn, or what differs from the config's own way:
                ``{"num_steps": 2}``.
        """
        from wmlearn.systems.cosmos.world import CosmosWorld

        return CosmosWorld(self, sampler)


def opening(world: World, context: Clip) -> Clip:
    """The last ``context_frames`` of a real clip with actions, on the world's device.

    Raises:
        ValueError: the clip has no actions, is of another size, or too short.
    """
    context.require("actions")
    if tuple(context.frames.shape[2:]) != world.frame_shape:
        raise ValueError(
            f"This world dreams frames of shape {world.frame_shape}, but the context's are "
            f"{tuple(context.frames.shape[2:])}; record or resize to the same size."
        )
    if context.length < world.context_frames:
        raise ValueError(
            f"This world needs {world.context_frames} frames to start from; the context has "
            f"{context.length}."
        )
    return context.time(context.length - world.context_frames, context.length).to(world.device)


def _channels(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)
