"""DIAMOND as a World: a state that is passed in and handed back (Alonso et al. 2024, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.fast.packed import packed
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.pixels import to_float, to_uint8
from wmlearn.systems.diamond.config import DenoiserConfig, SamplerConfig
from wmlearn.systems.diamond.sampler import sample
from wmlearn.world import Step, World, choose_sampler


@dataclass(frozen=True)
class DiamondState:
    """What the next frame depends on.

    Attributes:
        frames: uint8 ``[B, n, C, H, W]``, the last n frames.
        actions: ``[B, n - 1, ...]``, the actions between them.
        memory: the reward and termination model's LSTM state, each ``[B, D]``.
    """

    frames: Tensor
    actions: Tensor
    memory: tuple[Tensor, Tensor]


class DiamondWorld(World):
    """Dreams frame by frame; the same generator gives the same dream.

    Args:
        system: a trained :class:`Diamond`.
        sampler: how a frame is drawn, or what differs from the system's own way.
    """

    def __init__(self, system, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> None:
        config = system.config
        self.system = system.eval()
        self.sampler = choose_sampler(config.sampler, sampler)
        self.context_frames = config.denoiser.context_frames
        self.action_space = action_space(config.denoiser)
        side = config.reward_end.image_size
        self.frame_shape = (config.denoiser.image_channels, side, side)
        self._reward_values = torch.tensor(config.reward_end.reward_values)
        half = bfloat16_is_fast(self.device)
        self._autocast = half and self.device.type != "cpu"
        self._denoiser, self._reward_end = system.denoiser, system.reward_end
        if self.device.type == "cpu":
            self._denoiser = packed(system.denoiser, torch.bfloat16 if half else torch.float32)
            self._reward_end = packed(system.reward_end, torch.float32)

    @torch.inference_mode()
    def reset(self, context: Clip) -> DiamondState:
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
        frames, actions = context.frames.to(self.device), context.actions.to(self.device)
        missing = max(0, self.context_frames - frames.shape[1])
        frames = torch.cat([frames[:, :1].expand(-1, missing, -1, -1, -1), frames], dim=1)
        none = actions.new_zeros(len(actions), missing, *actions.shape[2:])
        actions = torch.cat([none, actions], dim=1)
        floats = to_float(frames)
        *_, memory = self._reward_end(floats[:, :-1], actions, floats[:, 1:])
        n = self.context_frames
        return DiamondState(frames[:, -n:], actions[:, -n + 1 :], _batch_first(memory))

    @torch.inference_mode()
    def step(
        self, state: DiamondState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[DiamondState, Step]:
        """Draws the next frame, then reads its reward and whether the episode ends."""
        action = action.to(self.device)
        context = to_float(state.frames)
        actions = torch.cat([state.actions, action[:, None]], dim=1)
        noise = self._draw(torch.randn, context[:, -1].shape, generator)
        with self._precision():
            frame = sample(self._denoiser, context, actions, noise, self.sampler)
        frame = to_uint8(frame.float())
        reward_logits, end_logits, memory = self._reward_end(
            context[:, -1:], action[:, None], to_float(frame)[:, None], _layer_first(state.memory)
        )
        signs = reward_logits[:, 0].softmax(-1)  # of negative, zero, positive
        ends = end_logits[:, 0].softmax(-1)  # of going on, ending
        reward = self._reward_values.to(self.device)[self._choose(signs, generator)]
        ended = self._choose(ends, generator) == 1
        frames = torch.cat([state.frames[:, 1:], frame[:, None]], dim=1)
        state = DiamondState(frames, actions[:, 1:], _batch_first(memory))
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
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast)


def action_space(config: DenoiserConfig) -> Space:
    """What the world takes: the space that its data was recorded with."""
    if config.action_bounds:
        low, high = np.array(config.action_bounds, np.float32).T
        return Box(low, high, dtype=np.float32)
    return Discrete(config.num_actions)


def _batch_first(memory: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The LSTM's [1, B, D] -> [B, D]."""
    return memory[0].squeeze(0), memory[1].squeeze(0)


def _layer_first(memory: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """[B, D] -> the LSTM's [1, B, D]."""
    return memory[0].unsqueeze(0), memory[1].unsqueeze(0)
