"""One of UniSim's worlds, to be played: its state is what the transformer remembers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.nn.video_transformer import Cache
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.actions import Actions, action_space
from wmlearn.systems.unisim.config import SamplerConfig
from wmlearn.systems.unisim.network import UniSimNetwork
from wmlearn.world import Step, World, choose_sampler


@dataclass(frozen=True)
class UniSimState:
    """What the next frame depends on.

    Attributes:
        cache: keys and values of the frames that are remembered.
        last: float32 ``[B, c, h, w]``, the newest latent as it is remembered.
        latent: float32 ``[B, c, h, w]``, the same as it was drawn: what steps to go are read from.
    """

    cache: Cache
    last: Tensor
    latent: Tensor


class UniSimWorld(World):
    """Dreams frame by frame; the same generator gives the same dream.

    ``action_space`` says which format its domain takes: :class:`Sentences`, :class:`Motion` or
    :class:`Keys`. Rewards depend on the task, which a world does not have: see :meth:`steps_to_go`.

    Args:
        system: a trained :class:`UniSim`.
        sampler: which domain it is and how a frame is drawn, or what differs from the system's own.
    """

    predicts_reward = False

    def __init__(
        self, system: UniSimNetwork, sampler: SamplerConfig | Mapping[str, Any] | None = None
    ) -> None:
        config = system.config
        self.sampler = choose_sampler(config.sampler, sampler)
        self._domain = config.number_of(self.sampler.domain)
        self.domain = config.domains[self._domain]
        self.action_space = action_space(self.domain)
        self.formats = (self.domain.format,)
        self.frame_shape = (config.autoencoder.image_channels, *2 * (config.image_size,))
        self.system = _for_play(system.eval())

    @torch.inference_mode()
    def reset(self, context: Clip) -> UniSimState:
        """The state after a real clip of any length; of the last ones, as many as it remembers."""
        if tuple(context.frames.shape[2:]) != self.frame_shape:
            raise ValueError(
                f"This world dreams frames of shape {self.frame_shape}, but the context's are "
                f"{tuple(context.frames.shape[2:])}; record or resize to the same size."
            )
        most = self.system.config.simulator.frames
        context = context.time(max(0, context.length - most), context.length)
        frames, batch = context.frames.to(self.device), len(context)
        domain = torch.full((batch,), self._domain, device=self.device)
        if context.length > 1:
            actions = context.require("actions").actions.to(self.device)
            done = self.system.led_to(actions, domain)
        else:
            done = self.system.codes.nothing(batch, 1, domain)
        with self.precision():
            latents = self.system.encode(frames).float()
        return self._remembered(latents, done)

    @torch.inference_mode()
    def begin(self, latents: Tensor) -> UniSimState:
        """The state after one real frame each, given as its latent float32 ``[B, c, h, w]``."""
        domain = torch.full((len(latents),), self._domain, device=self.device)
        return self._remembered(
            latents[:, None], self.system.codes.nothing(len(latents), 1, domain)
        )

    def _remembered(self, latents: Tensor, done: Actions) -> UniSimState:
        with self.precision():
            vectors = self.system.simulator.actions(done)
            cache = self.system.simulator.transformer.start(len(latents), vectors.dtype)
            level = self.sampler.history_noise
            cache, last = self.system.simulator.remember(cache, latents, vectors, level)
        return UniSimState(cache, last, latents[:, -1])

    @torch.inference_mode()
    def step(
        self, state: UniSimState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[UniSimState, Step]:
        """Draws the next latent, remembers it, and shows it."""
        state = self.imagine(state, action, generator)
        with self.precision():
            frame = to_uint8(self.system.decode(state.latent))
        nothing = torch.zeros(len(frame), device=self.device)
        return state, Step(frame, nothing, nothing > 0)

    @torch.inference_mode()
    def imagine(
        self, state: UniSimState, action: Tensor, generator: torch.Generator | None = None
    ) -> UniSimState:
        """As :meth:`step`, and nothing is shown: what a search in dreams needs."""
        action = action.to(self.device)
        domain = torch.full((len(action),), self._domain, device=self.device)
        if action.is_floating_point():
            action = action.float()
        simulator, sampler = self.system.simulator, self.sampler

        def noise(*shape: int) -> Tensor:
            source = generator.device if generator is not None else self.device
            return torch.randn(shape, generator=generator, device=source).to(self.device)

        with self.precision():
            vectors, silence = simulator.actions(self.system.codes(action[:, None], domain)), None
            if sampler.guidance != 1:
                silence = simulator.actions(self.system.codes.nothing(len(action), 1, domain))[:, 0]
            latent = simulator.draw(
                state.cache, state.last, vectors[:, 0], noise(*state.last.shape), sampler, silence
            )
            cache, last = simulator.remember(
                state.cache, latent[:, None], vectors, sampler.history_noise, noise
            )
        return UniSimState(cache, last, latent)

    # --- what is left to do --------------------------------------------------------------------

    @torch.inference_mode()
    def steps_to_go(
        self,
        state: UniSimState,
        task: Tensor | None = None,
        goal: Tensor | None = None,
        goal_latent: Tensor | None = None,
        judge: bool = False,
    ) -> Tensor:
        """How many steps are left, as the recording taught it: float32 ``[B]``.

        Args:
            state: of dreams.
            task: int64 ``[B]``, numbers of this world's sentences; None where a picture says it.
            goal: uint8 ``[B, C, H, W]``, how it shall look; None where a sentence says it.
            goal_latent: ``[B, c, h, w]``, the same, encoded already.
            judge: ask the second model, which no policy is trained on.
        """
        latent, wanted, words = state.latent, torch.zeros_like(state.latent), None
        model = self.system.judge if judge else self.system.steps_to_go
        with self.precision():
            if goal is not None:
                wanted = self.system.encode(goal[:, None].to(self.device))[:, 0].float()
            elif goal_latent is not None:
                wanted = goal_latent
            if task is not None:
                domain = torch.full((len(task),), self._domain, device=self.device)
                codes = self.system.codes(task.to(self.device)[:, None], domain)
                words = self.system.simulator.actions.sentences(codes.sentence)[:, 0]
            return model(latent, wanted, words).float().expm1()

    def precision(self):
        """bfloat16 where it is fast, as a context."""
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=bfloat16_is_fast(self.device)
        )


def _for_play(system: UniSimNetwork) -> UniSimNetwork:
    """Weights in the type that play computes with, where that is fast: no cast in each pass."""
    if not bfloat16_is_fast(system.latent_mean.device):
        return system
    system = copy.deepcopy(system)
    system.autoencoder.to(torch.bfloat16, memory_format=torch.channels_last)
    for module in (system.simulator, system.steps_to_go, system.judge):
        module.to(torch.bfloat16)
    return system
