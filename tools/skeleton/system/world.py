"""My Model as a world: from a few real frames on, it dreams what every action does."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.pixels import to_float, to_uint8
from wmlearn.world import Step, World


@dataclass(frozen=True)
class MyModelState:
    """What the world remembers.

    Attributes:
        frames: uint8 ``[B, n, C, H, W]``, the last ones.
        actions: int64 ``[B, n - 1]``, between them.
    """

    frames: Tensor
    actions: Tensor


class MyModelWorld(World):
    """Dreams frame by frame; the same actions give the same dream.

    Args:
        system: a trained :class:`MyModel`.
    """

    predicts_reward = False

    def __init__(self, system) -> None:
        config = system.config
        self.system = system.eval()
        self.context_frames = config.context_frames
        self.action_space = gymnasium.spaces.Discrete(config.num_actions)
        self.frame_shape = (config.image_channels, config.image_size, config.image_size)

    def reset(self, context: Clip) -> MyModelState:
        """The state after a real clip of n or more frames, with its actions."""
        context = context.require("actions").to(self.device)
        n = self.context_frames
        actions = context.actions[:, context.length - n :]
        return MyModelState(context.frames[:, -n:], actions)

    @torch.inference_mode()
    def step(
        self, state: MyModelState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[MyModelState, Step]:
        """One frame after ``action`` int64 [B]; the generator is not needed."""
        actions = torch.cat([state.actions, action.to(self.device)[:, None]], 1)
        frame = to_uint8(self.system.predict(to_float(state.frames), actions))
        frames = torch.cat([state.frames[:, 1:], frame[:, None]], 1)
        nothing = torch.zeros(len(frame), device=frame.device)
        return MyModelState(frames, actions[:, 1:]), Step(frame, nothing, nothing.bool())
