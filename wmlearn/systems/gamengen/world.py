"""GameNGen as a playable world: its state is the last latents and the actions between them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.pixels import to_uint8
from wmlearn.systems.gamengen.config import SamplerConfig
from wmlearn.systems.gamengen.network import GameNGenNetwork
from wmlearn.world import Step, World, choose_sampler


@dataclass(frozen=True)
class GameNGenState:
    """What the next frame depends on.

    Attributes:
        latents: float32 ``[B, n, c, h, w]``, the last n latents, the oldest first.
        actions: int64 ``[B, n - 1]``, the actions between them.
    """

    latents: Tensor
    actions: Tensor


class GameNGenWorld(World):
    """Dreams frame by frame; the same generator gives the same dream.

    Latents are fed back as they are drawn; the decoder only shows them.

    Args:
        system: a trained :class:`GameNGenNetwork`, the whole system or its networks alone.
        sampler: how a frame is drawn, or what differs from the system's own way.
    """

    def __init__(
        self, system: GameNGenNetwork, sampler: SamplerConfig | Mapping[str, Any] | None = None
    ) -> None:
        config = system.config
        self.sampler = choose_sampler(config.sampler, sampler)
        self.context_frames = config.denoiser.context_frames
        self.action_space = gymnasium.spaces.Discrete(config.denoiser.num_actions)
        self.frame_shape = (config.autoencoder.image_channels, *2 * (config.image_size,))
        self._reward_values = torch.tensor(config.reward_end.reward_values)
        self.system = _for_play(system.eval())

    @torch.inference_mode()
    def reset(self, context: Clip) -> GameNGenState:
        """The state after a real clip of any length.

        A clip with fewer than ``context_frames`` frames is continued backwards, as in training:
        its first frame stood still under action 0.
        """
        context.require("actions")
        if tuple(context.frames.shape[2:]) != self.frame_shape:
            raise ValueError(
                f"This world dreams frames of shape {self.frame_shape}, but the context's are "
                f"{tuple(context.frames.shape[2:])}; record or resize to the same size."
            )
        n = self.context_frames
        frames, actions = context.frames[:, -n:].to(self.device), context.actions.to(self.device)
        missing = n - frames.shape[1]
        with self._precision():
            latents = self.system.encode(frames).float()
        latents = torch.cat([latents[:, :1].expand(-1, missing, -1, -1, -1), latents], dim=1)
        actions = F.pad(actions, (max(0, n - 1 - actions.shape[1]), 0))
        return GameNGenState(latents, actions[:, actions.shape[1] - n + 1 :])

    @torch.inference_mode()
    def step(
        self, state: GameNGenState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[GameNGenState, Step]:
        """Draws the next latent, shows it, and reads its reward and whether the episode ends."""
        action = action.to(self.device)
        actions = torch.cat([state.actions, action[:, None]], dim=1)

        def noise(*shape: int) -> Tensor:
            return self._draw(torch.randn, shape, generator)

        with self._precision():
            latent = self.system.denoiser.sample(state.latents, actions, noise, self.sampler)
            frame = to_uint8(self.system.decode(latent))
            latents = torch.cat([state.latents[:, 1:], latent[:, None]], dim=1)
            k = min(self.system.config.reward_end.frames, self.context_frames + 1)
            seen = torch.cat([state.latents, latent[:, None]], dim=1)[:, -k:]
            reward_logits, end_logits = self.system.reward_end(seen, actions[:, 1 - k :])
        signs = reward_logits.softmax(-1)  # of negative, zero, positive
        ends = end_logits.softmax(-1)  # of going on, ending
        reward = self._reward_values.to(self.device)[self._choose(signs, generator)]
        ended = self._choose(ends, generator) == 1
        state = GameNGenState(latents, actions[:, 1:])
        return state, Step(frame, reward, ended, signs, ends[:, 1])

    def _draw(self, function, shape, generator: torch.Generator | None) -> Tensor:
        """Random numbers from the generator's own device, moved to the world's."""
        source = generator.device if generator is not None else self.device
        return function(shape, generator=generator, device=source).to(self.device)

    def _choose(self, probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
        """Samples a class [B] with probabilities [B, K] (inverse of the distribution function)."""
        cumulative = probabilities.cumsum(dim=-1)
        uniform = self._draw(torch.rand, (len(probabilities), 1), generator)
        return (uniform > cumulative[:, :-1]).sum(dim=-1)

    def _precision(self):
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=bfloat16_is_fast(self.device)
        )


def _for_play(system: GameNGenNetwork) -> GameNGenNetwork:
    """Weights in the layout, and where it is fast in the type, that play computes with.

    Without this every pass would cast all weights anew.
    """
    if not bfloat16_is_fast(system.latent_mean.device):
        return system
    system = copy.deepcopy(system)
    for module in (system.autoencoder, system.denoiser, system.reward_end):
        module.to(torch.bfloat16, memory_format=torch.channels_last)
    return system
