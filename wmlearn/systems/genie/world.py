"""Genie as a World: its actions are the latent ones, and one picture is enough to begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.fast.packed import packed
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.pixels import to_float, to_uint8
from wmlearn.systems.genie.config import SamplerConfig
from wmlearn.world import LatentActionWorld, Step, choose_sampler


@dataclass(frozen=True)
class GenieState:
    """What the next frame depends on.

    Attributes:
        time: int64 ``[B]``, number of the next frame.
        dynamics: keys and values of the dynamics' last P frames ``[B, depth, 2, P, S, h, d]``.
        decoder: those of the tokenizer's decoder.
        decoded: the last frame as the decoder drew it, uint8 ``[B, C, H, W]``.
        shown: the last frame as it is seen: patches that stay still are kept from earlier ones.
        pressed: int64 ``[B]``, what was pressed last; -1 before anything was.
        held: int64 ``[B]``, for how many frames on end.
    """

    time: Tensor
    dynamics: Tensor
    decoder: Tensor
    decoded: Tensor
    shown: Tensor
    pressed: Tensor
    held: Tensor


class GenieWorld(LatentActionWorld):
    """Dreams frame by frame; the same generator gives the same dream.

    An action is one of the latent actions, 0 .. 7: what each means was found by the model, not
    given. No reward and no end is known from video: rewards are 0, and no episode ends.

    Args:
        system: a trained :class:`Genie`.
        sampler: how a frame's tokens are drawn, or what differs from the system's own way.

    Attributes:
        longest: int64 ``[num_actions]``, for how many frames on end each latent action acts before
            it is let go of; ``None``: for as long as it is held.
    """

    longest: Tensor | None
    context_frames = 1
    predicts_reward = False

    def __init__(self, system, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> None:
        config = system.config
        self.system = system.eval()
        self.sampler = choose_sampler(config.sampler, sampler)
        self.action_space = gymnasium.spaces.Discrete(config.actions.num_actions)
        self.idle, longest = config.actions.idle, config.actions.longest
        if longest is not None and (self.idle is None or len(longest) != self.action_space.n):
            raise ValueError(
                f"actions.longest needs actions.idle and {self.action_space.n} numbers, one for "
                f"each latent action; got idle {self.idle} and {longest}."
            )
        self.longest = None if longest is None else torch.tensor(longest)
        self.frame_shape = (config.image_channels, config.image_size, config.image_size)
        self._dynamics = system.dynamics
        if self.device.type == "cpu" and bfloat16_is_fast(self.device):
            self._dynamics = packed(system.dynamics, torch.bfloat16, (nn.Linear,))

    @torch.inference_mode()
    def infer_actions(self, clip: Clip) -> Tensor:
        """The latent actions int64 ``[B, T - 1]`` between a real clip's frames."""
        return self.system.infer_actions(clip.frames.to(self.device))

    @torch.inference_mode()
    def reset(self, context: Clip) -> GenieState:
        """The state after a real clip of one frame or more; its own actions are not looked at.

        Of the frames the last ``window`` are remembered, with the latent actions that are inferred
        between them.
        """
        if tuple(context.frames.shape[2:]) != self.frame_shape:
            raise ValueError(
                f"This world dreams frames of shape {self.frame_shape}, but the context's are "
                f"{tuple(context.frames.shape[2:])}; record or resize to the same size."
            )
        system, batch = self.system, len(context)
        frames = context.frames[:, -system.config.dynamics.window :].to(self.device)
        tokens = system.tokenizer.encode(to_float(frames))
        codes = system.infer_actions(frames) if frames.shape[1] > 1 else tokens[:, :0, 0]
        pressed = system.actions.quantizer.vectors(codes)
        window = system.config.dynamics.window
        state = GenieState(
            torch.zeros(batch, dtype=torch.int64, device=self.device),
            system.dynamics.transformer.empty_past(batch, window, self.device),
            system.tokenizer.decoder.empty_past(batch, window, self.device),
            decoded=frames[:, -1],
            shown=frames[:, -1],
            pressed=torch.full((batch,), -1, device=self.device),
            held=torch.zeros(batch, dtype=torch.int64, device=self.device),
        )
        for t in range(frames.shape[1]):
            state = self._remember(state, tokens[:, t], pressed[:, t - 1] if t else None)
        return replace(state, shown=frames[:, -1])

    @torch.inference_mode()
    def step(
        self, state: GenieState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[GenieState, Step]:
        """Fills in the next frame's tokens, draws them, and remembers them.

        A latent action that is held on for more than ``actions.longest`` frames is let go of: the
        idle one stands in its place until another is pressed.
        """
        system, batch = self.system, len(state.time)
        action = action.to(self.device)
        held = torch.where(action == state.pressed, state.held + 1, 1)
        state = replace(state, pressed=action, held=held)
        if self.longest is not None:
            action = torch.where(held > self.longest.to(self.device)[action], self.idle, action)
        pressed = system.actions.quantizer.vectors(action)
        source = generator.device if generator is not None else self.device
        shape = (self.sampler.steps, batch, system.config.tokens_per_frame, 2)
        uniform = torch.rand(shape, generator=generator, device=source).to(self.device)
        least = torch.full((batch, 1, 1), self.sampler.least, device=self.device)
        if self.idle is not None:  # with idle hands only the likeliest: what stands, stands still
            least = least.masked_fill((action == self.idle)[:, None, None], 1.0)
        tokens = self._dynamics.sample(
            pressed,
            state.time,
            state.dynamics,
            uniform,
            self.sampler.steps,
            self.sampler.temperature,
            least,
        )
        state = self._remember(state, tokens, pressed)
        nothing = torch.zeros(batch, device=self.device)
        return state, Step(state.shown, nothing, nothing > 0)

    def _remember(self, state: GenieState, tokens: Tensor, pressed: Tensor | None) -> GenieState:
        """The state after a frame of these tokens ``[B, S]``."""
        dynamics, tokenizer = self._dynamics, self.system.tokenizer
        config = self.system.config.tokenizer
        seen = dynamics.remember(tokens, pressed, state.time, state.dynamics)
        picture, drawn = tokenizer.decode_step(tokens, state.time, state.decoder)
        decoded = to_uint8(picture)
        shown = keep_still(state.shown, state.decoded, decoded, config.patch, config.still_below)
        return GenieState(state.time + 1, seen, drawn, decoded, shown, state.pressed, state.held)


def keep_still(
    shown: Tensor, before: Tensor, now: Tensor, patch: int, still_below: float
) -> Tensor:
    """The decoded frame ``now``; patches that did not change since ``before`` stay as shown.

    A decoder blurs every patch a little. What it would draw as it did a frame ago need not be drawn
    again, so that it stays as sharp as the first picture.

    Args:
        shown, before, now: uint8 ``[B, C, H, W]``: the last frame as seen, and as decoded; the new
            one as decoded.
        patch: side of a patch in pixels.
        still_below: gray levels; a patch whose largest change is below it is still.
    """
    change = (now.float() - before.float()).abs().amax(1, keepdim=True)
    still = F.max_pool2d(change, patch) < still_below
    return torch.where(F.interpolate(still.float(), scale_factor=patch) > 0, shown, now)
