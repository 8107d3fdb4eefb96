"""Sora as a world that is told in words what to show: its state is what was said and seen last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.systems.sora.config import SamplerConfig
from wmlearn.systems.sora.network import SoraNetwork
from wmlearn.world import PromptedWorld, Step, choose_sampler


@dataclass(frozen=True)
class SoraState:
    """What the next stretch of video depends on.

    Attributes:
        latents: float32 ``[B, k, c, h, w]``, the last frames; k = 0 before the first one.
        words: int64 ``[B, L]``, what was asked for; all 0 once it has been shown.
    """

    latents: Tensor
    words: Tensor


class SoraWorld(PromptedWorld):
    """Draws a whole stretch of video at once; there is nothing to press.

    A sentence is about the video's beginning (where things move *to* is said of the first frames),
    so it counts for the first stretch; those that follow go on from the last frames alone.

    Args:
        system: a trained :class:`Sora`.
        sampler: how a video is drawn, or what differs from the system's own way.
    """

    predicts_reward = False

    def __init__(
        self, system: SoraNetwork, sampler: SamplerConfig | Mapping[str, Any] | None = None
    ) -> None:
        config = system.config
        self.sampler = choose_sampler(config.sampler, sampler)
        self.context_frames = config.given_most
        self.chunk = config.frames - config.given_most
        self.action_space = gymnasium.spaces.Discrete(1)
        self.frame_shape = (3, *config.image_size)
        self.system = system.eval()

    @torch.inference_mode()
    def reset(self, context: Clip, prompt: tuple[str, ...] | None = None) -> SoraState:
        """The state after a real clip of any length, and the words for what follows.

        Args:
            context: frames ``[B, T, C, H, W]``; the last ``context_frames`` count. With T = 0 the
                words alone decide.
            prompt: a sentence for each clip; default ``context.text``, or none.

        Raises:
            UnknownWord: a word that the model has never read.
            ValueError: frames of another size, or another number of sentences than clips.
        """
        if tuple(context.frames.shape[2:]) != self.frame_shape:
            raise ValueError(
                f"This world dreams frames of shape {self.frame_shape}, but the context's are "
                f"{tuple(context.frames.shape[2:])}; record or resize to the same size."
            )
        texts = prompt if prompt is not None else context.text or ("",) * len(context)
        if len(texts) != len(context):
            raise ValueError(f"{len(texts)} sentences for {len(context)} clips: give one for each.")
        words = self.system.vocabulary.encode(texts).to(self.device)
        frames = context.frames[:, -self.context_frames :].to(self.device)
        config = self.system.config
        shape = len(context), 0, config.latent_channels, *config.latent_size
        latents = torch.zeros(shape, device=self.device)
        if frames.shape[1]:
            with self._precision():
                latents = self.system.encode(frames).float()
        return SoraState(latents, words)

    @torch.inference_mode()
    def step(
        self, state: SoraState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[SoraState, Step]:
        """The stretch of video that follows; ``action`` int64 ``[B]`` is always 0."""
        config, known = self.system.config, state.latents.shape[1]
        shape = len(state.words), config.frames, *state.latents.shape[2:]
        source = generator.device if generator is not None else self.device
        noise = torch.randn(shape, generator=generator, device=source).to(self.device)
        given = state.latents if known else None
        with self._precision():
            latents = self.system.sample(noise, state.words, given, self.sampler)
            frames = self.system.decode(latents[:, known:])
        nothing = torch.zeros(len(frames), device=self.device)
        next_state = SoraState(latents[:, -self.context_frames :], torch.zeros_like(state.words))
        return next_state, Step(frames[:, -1], nothing, nothing.bool(), frames=frames)

    def _precision(self):
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=bfloat16_is_fast(self.device)
        )
