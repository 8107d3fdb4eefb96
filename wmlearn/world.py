"""The World protocol: what every learned world can do, whatever system it comes from.

A world is functional: its state is a value that is passed in and handed back, never hidden.
So a planner can branch, a search tree can store states, and a counterfactual is one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import gymnasium
import torch
from torch import Tensor

from wmlearn.data.clip import Clip


@dataclass(frozen=True)
class Step:
    """What a world shows after one action.

    Attributes:
        frame: uint8 ``[B, C, H, W]``.
        reward: float32 ``[B]``, in the units that the world was trained on.
        terminated: bool ``[B]``.
    """

    frame: Tensor
    reward: Tensor
    terminated: Tensor


@runtime_checkable
class World(Protocol):
    """A learned, batched environment.

    Attributes:
        action_space: of one actor, e.g. ``Discrete(4)``.
        frame_shape: ``(C, H, W)``.
        context_frames: how many real frames ``reset`` needs at least.
    """

    action_space: gymnasium.Space
    frame_shape: tuple[int, int, int]
    context_frames: int

    def reset(self, context: Clip) -> Any:
        """The state after a real clip: frames ``[B, T >= context_frames, C, H, W]``, actions."""
        ...

    def step(
        self, state: Any, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Any, Step]:
        """One step with ``action`` (int64 ``[B]``); all randomness comes from ``generator``."""
        ...


class CopyLastFrame:
    """The baseline that every world must beat: nothing ever moves.

    Args:
        action_space: passed through, so that the baseline fits wherever a world does.
        frame_shape: ``(C, H, W)``.
    """

    context_frames = 1

    def __init__(self, action_space: gymnasium.Space, frame_shape: tuple[int, int, int]) -> None:
        self.action_space = action_space
        self.frame_shape = tuple(frame_shape)

    def reset(self, context: Clip) -> Tensor:
        return context.frames[:, -1]

    def step(
        self, state: Tensor, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Step]:
        batch = state.shape[0]
        return state, Step(
            frame=state,
            reward=torch.zeros(batch, device=state.device),
            terminated=torch.zeros(batch, dtype=torch.bool, device=state.device),
        )
