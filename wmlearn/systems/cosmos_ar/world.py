"""The language model of video as a playable world: a step draws the tokens of four frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.pixels import to_uint8
from wmlearn.systems.cosmos.network import opening
from wmlearn.systems.cosmos_ar.config import SamplerConfig
from wmlearn.systems.cosmos_ar.network import CosmosARNetwork
from wmlearn.world import Step, World, choose_sampler


@dataclass(frozen=True)
class CosmosARState:
    """What the next tokens depend on.

    Attributes:
        codes: int64 ``[B, n, h, w]``, the last n latent frames, the oldest first.
        actions: float32 ``[B, n, A]``, those that led to each of them.
        drawing: what the decoder remembers of all latents so far.
    """

    codes: Tensor
    actions: Tensor
    drawing: tuple[Tensor, ...]


class CosmosARWorld(World):
    """Dreams chunk by chunk, token by token; the same generator gives the same dream.

    Actions as in the diffusion model's world: one for the whole chunk, or one for each frame.
    Rewards and ends are not predicted.

    Args:
        system: a trained :class:`CosmosAR` with actions.
        sampler: how tokens are drawn, or what differs from the system's own way.

    Raises:
        ValueError: the system has no actions, so that nothing can be played.
    """

    predicts_reward = False
    action_a_frame = True

    def __init__(
        self, system: CosmosARNetwork, sampler: SamplerConfig | Mapping[str, Any] | None = None
    ) -> None:
        config = system.config
        if not config.transformer.action_dim:
            raise ValueError("This model has no actions: draw its videos with system.draw().")
        self.sampler = choose_sampler(config.sampler, sampler)
        self.chunk = config.tokenizer.time_ratio
        self.context_frames = 1 + self.chunk * config.play_latents
        low, high = np.float32(config.action_low), np.float32(config.action_high)
        self.action_space = Box(low, high, dtype=np.float32)
        self.frame_shape = (config.tokenizer.image_channels, *2 * (config.image_size,))
        self.system = system.eval()

    @torch.inference_mode()
    def reset(self, context: Clip) -> CosmosARState:
        """The state after a real clip of at least ``context_frames`` frames."""
        clip = opening(self, context)
        codes = self.system.codes(clip.frames)
        _, drawing = self.system.tokenizer.decode_piece(self.system.tokenizer.vectors(codes))
        actions = self.system.actions_of(clip.actions.float(), codes.shape[1])
        return CosmosARState(codes[:, 1:], actions[:, 1:], drawing)

    @torch.inference_mode()
    def step(
        self, state: CosmosARState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[CosmosARState, Step]:
        """Draws the tokens of the next latent frame and shows its frames.

        Args:
            state: the state.
            action: float32 ``[B, action_dim]``, or ``[B, chunk, action_dim]``.
            generator: of the draws.
        """
        action = action.to(self.device, torch.float32)
        if action.ndim == 2:
            action = action[:, None].expand(-1, self.chunk, -1)
        actions = torch.cat([state.actions, action.flatten(1)[:, None]], dim=1)
        source = self.device if generator is None else generator.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=source).to(self.device)

        new = self.system.draw(state.codes, 1, uniform, self.sampler, actions)
        vectors = self.system.tokenizer.vectors(new)
        video, drawing = self.system.tokenizer.decode_piece(vectors, state.drawing)
        frames = to_uint8(video)
        codes = torch.cat([state.codes[:, 1:], new], dim=1)
        none = torch.zeros(len(action), device=self.device)
        shown = Step(frames[:, -1], none, none.bool(), frames=frames)
        return CosmosARState(codes, actions[:, 1:], drawing), shown
