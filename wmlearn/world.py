"""The World protocol: what every learned world can do, whatever system it comes from.

A world is functional: its state is a value that is passed in and handed back, never hidden.
So a planner can branch, a search tree can store states, and a counterfactual is one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from wmlearn.data.clip import Clip


@dataclass(frozen=True)
class Step:
    """What a world shows after one action.

    A world that predicts pixels or tokens gives a ``frame``; one that predicts embeddings (JEPA)
    gives ``features``, and nobody draws them.

    Attributes:
        frame: uint8 ``[B, C, H, W]``; ``None`` in a world of features.
        reward: float32 ``[B]``, in the units that the world was trained on.
        terminated: bool ``[B]``.
        expected_sign: float32 ``[B]``, the mean of the reward's sign, -1 to 1; ``None`` where a
            world does not know it.
        end_probability: float32 ``[B]``, of ``terminated``; ``None`` where it is not known.
        features: float32 ``[B, N, D]``, N tokens of the new frame; ``None`` in a world of frames.
    """

    frame: Tensor | None
    reward: Tensor
    terminated: Tensor
    expected_sign: Tensor | None = None
    end_probability: Tensor | None = None
    features: Tensor | None = None

    def __post_init__(self) -> None:
        if self.frame is None and self.features is None:
            raise ValueError("A step shows a frame or features; this one has neither.")


@runtime_checkable
class World(Protocol):
    """A learned, batched environment.

    Its state is a tensor, or a tuple or dataclass of tensors; in each of them the batch comes
    first, so that states can be indexed, stored and mixed (:func:`where_state`).

    Attributes:
        action_space: of one actor, e.g. ``Discrete(4)``.
        frame_shape: ``(C, H, W)``, of the frames that ``reset`` takes, and of those that ``step``
            gives if it gives any.
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
        """One step with ``action`` (int64 ``[B]``, or float32 ``[B, A]`` for continuous ones).

        All randomness comes from ``generator``.
        """
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


def where_state(mask: Tensor, new: Any, old: Any) -> Any:
    """The state of ``new`` for the batch entries where ``mask`` [B] is true, else of ``old``."""
    if isinstance(new, Tensor):
        return torch.where(mask.view(-1, *[1] * (new.ndim - 1)).to(new.device), new, old)
    if is_dataclass(new):
        names = [field.name for field in fields(new)]
        parts = {n: where_state(mask, getattr(new, n), getattr(old, n)) for n in names}
        return type(new)(**parts)
    if isinstance(new, tuple):
        return tuple(where_state(mask, a, b) for a, b in zip(new, old, strict=True))
    raise TypeError(f"A state is made of tensors, tuples and dataclasses, not {type(new)}.")


class WorldEnv(VectorEnv):
    """A world as a ``gymnasium.vector.VectorEnv``: train any agent in a dream.

    Observations are uint8 ``[num_envs, H, W, C]``. An episode that ends starts anew in the same
    step (``AutoresetMode.SAME_STEP``); its last frame is in ``infos["final_obs"]``.

    Args:
        world: what to live in.
        starts: real clips to start from, ``[N, T >= world.context_frames, C, H, W]`` with actions;
            or a function ``(count, rng) -> Clip`` that draws them.
        num_envs: dreams that go on at the same time.
        horizon: an episode is truncated after this many steps; learned worlds drift in the end.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"]}
    render_mode = "rgb_array"

    def __init__(
        self,
        world: World,
        starts: Clip | Callable[[int, np.random.Generator], Clip],
        num_envs: int = 1,
        horizon: int = 100,
    ) -> None:
        self.world, self.num_envs, self.horizon = world, num_envs, horizon
        channels, height, width = world.frame_shape
        self.single_observation_space = gymnasium.spaces.Box(
            0, 255, (height, width, channels), np.uint8
        )
        self.single_action_space = world.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._draw = starts if callable(starts) else _drawer(starts)
        self._state: Any = None
        self._frames: np.ndarray | None = None
        self._generator = torch.Generator()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts all dreams anew; with the same ``seed``, the same ones."""
        super().reset(seed=seed)  # makes self.np_random
        self._generator.manual_seed(int(self.np_random.integers(2**62)))
        self._state, self._frames = self._begin(self.num_envs)
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        return self._frames.copy(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every dream; arrays as in Gymnasium."""
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call reset() before the first step().")
        actions = np.asarray(actions)
        if not self.action_space.contains(actions.astype(self.action_space.dtype)):
            raise ValueError(f"{actions!r} is not in the action space {self.action_space}.")
        self._state, step = self.world.step(self._state, torch.as_tensor(actions), self._generator)
        if step.frame is None:
            raise ValueError(
                "This world gives features, not frames, so there is no picture to observe: plan "
                "in it (wmlearn.agents), or decode its features first."
            )
        frames, reward = _images(step.frame), step.reward.cpu().numpy().astype(np.float64)
        terminated = step.terminated.cpu().numpy()
        self._steps += 1
        truncated = (self._steps >= self.horizon) & ~terminated
        infos: dict[str, Any] = {}
        if (done := terminated | truncated).any():
            infos = {"final_obs": _objects(frames, done), "_final_obs": done.copy()}
            state, first = self._begin(self.num_envs)
            self._state = where_state(torch.as_tensor(done), state, self._state)
            frames = np.where(done[:, None, None, None], first, frames)
            self._steps[done] = 0
        self._frames = frames
        return frames.copy(), reward, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...]:
        """The current frame of every dream."""
        if self._frames is None:
            raise gymnasium.error.ResetNeeded("Call reset() before render().")
        return tuple(self._frames)

    def _begin(self, count: int) -> tuple[Any, np.ndarray]:
        clip = self._draw(count, self.np_random)
        return self.world.reset(clip), _images(clip.frames[:, -1])


def _drawer(clips: Clip) -> Callable[[int, np.random.Generator], Clip]:
    def draw(count: int, rng: np.random.Generator) -> Clip:
        return clips[torch.from_numpy(rng.integers(len(clips), size=count))]

    return draw


def _images(frames: Tensor) -> np.ndarray:
    """uint8 [B, C, H, W] -> [B, H, W, C]."""
    return frames.permute(0, 2, 3, 1).cpu().numpy()


def _objects(frames: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Gymnasium's layout of ``final_obs``: an object array, None where nothing ended."""
    values = np.full(len(done), None, dtype=object)
    for i in np.flatnonzero(done):
        values[i] = frames[i].copy()
    return values
