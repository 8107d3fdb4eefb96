"""Cosmos as a playable world: a step draws one latent, which is four frames."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.pixels import to_uint8
from wmlearn.systems.cosmos.config import SamplerConfig
from wmlearn.systems.cosmos.network import CosmosNetwork, opening
from wmlearn.world import Step, World, choose_sampler


@dataclass(frozen=True)
class CosmosState:
    """What the next frames depend on.

    Attributes:
        latents: float32 ``[B, n, c, h, w]``, the last n latents, the oldest first.
        actions: float32 ``[B, n, A]``, those that led to each of them.
        drawing: what the decoder remembers of all latents so far.
    """

    latents: Tensor
    actions: Tensor
    drawing: tuple[Tensor, ...]


class CosmosWorld(World):
    """Dreams chunk by chunk; the same generator gives the same dream.

    A step takes one action, which holds for all frames of the chunk from the first on, or an action
    for each of them, which takes effect at its own frame. Latents are fed back as they are drawn,
    and the decoder goes on where it was, so there is no seam between chunks. Rewards and ends are
    not predicted: Cosmos learns from video.

    Args:
        system: a trained :class:`Cosmos` with actions.
        sampler: how frames are drawn, or what differs from the system's own way.

    Raises:
        ValueError: the system has no actions, so that nothing can be played.
    """

    predicts_reward = False
    action_a_frame = True

    def __init__(
        self, system: CosmosNetwork, sampler: SamplerConfig | Mapping[str, Any] | None = None
    ) -> None:
        config = system.config
        if not config.denoiser.action_dim:
            raise ValueError("This model has no actions: draw its videos with denoiser.draw().")
        self.sampler = choose_sampler(config.sampler, sampler)
        self.chunk = config.tokenizer.time_ratio
        self.context_frames = 1 + self.chunk * config.play_latents
        low, high = np.float32(config.action_low), np.float32(config.action_high)
        self.action_space = Box(low, high, dtype=np.float32)
        self.frame_shape = (config.tokenizer.image_channels, *2 * (config.image_size,))
        self.system = _for_play(system.eval())

    @torch.inference_mode()
    def reset(self, context: Clip) -> CosmosState:
        """The state after a real clip of at least ``context_frames`` frames."""
        clip = opening(self, context)
        n = self.system.config.play_latents
        with self._precision():
            latents = self.system.encode(clip.frames).float()
            _, drawing = self.system.tokenizer.decode_piece(self.system.unscaled(latents))
        actions = self.system.actions_of(clip.actions.float(), n + 1)
        return CosmosState(latents[:, 1:], actions[:, 1:], drawing)

    @torch.inference_mode()
    def step(
        self, state: CosmosState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[CosmosState, Step]:
        """Draws the next latent and shows its frames.

        Args:
            state: the state.
            action: float32 ``[B, action_dim]``, or ``[B, chunk, action_dim]``.
            generator: of the noise.
        """
        action = action.to(self.device, torch.float32)
        if action.ndim == 2:
            action = action[:, None].expand(-1, self.chunk, -1)
        actions = torch.cat([state.actions, action.flatten(1)[:, None]], dim=1)
        source = self.device if generator is None else generator.device

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=source).to(self.device)

        with self._precision():
            latent = self.system.denoiser.draw(state.latents, 1, noise, self.sampler, actions)
            video, drawing = self.system.tokenizer.decode_piece(
                self.system.unscaled(latent), state.drawing
            )
        frames = to_uint8(video)
        latents = torch.cat([state.latents[:, 1:], latent.float()], dim=1)
        none = torch.zeros(len(action), device=self.device)
        shown = Step(frames[:, -1], none, none.bool(), frames=frames)
        return CosmosState(latents, actions[:, 1:], drawing), shown

    def _precision(self):
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=bfloat16_is_fast(self.device)
        )


def _for_play(system: CosmosNetwork) -> CosmosNetwork:
    """Weights in the type that play computes with, where it is fast."""
    if not bfloat16_is_fast(system.latent_mean.device):
        return system
    system = copy.deepcopy(system)
    for module in system.modules():  # noise levels and norms stay exact
        if isinstance(module, (nn.Linear, nn.Conv3d)):
            module.to(torch.bfloat16)
    return system
