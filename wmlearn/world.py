"""The World contract: the interface of every learned world, whatever system it comes from.

A world is functional: its state is a value that is passed in and handed back, never hidden.
So a planner can branch, a search tree can store states, and a counterfactual is one line.

What a world can do beyond that it *declares*: by the class that it inherits from
(:class:`FeatureWorld`, :class:`LatentActionWorld`, :class:`PromptedWorld`) and by attributes of
:class:`World` (``chunk``, ``predicts_reward``, ``likeness``). Shared code asks for these and never
probes for an attribute. What an agent asks for is written down the same way: :class:`Needs`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.data.likeness import Likeness


@dataclass(frozen=True)
class Step:
    """What a world shows after one action.

    A world that predicts pixels or tokens gives a ``frame``; one that predicts embeddings (JEPA)
    gives ``features``, and nobody draws them.

    Attributes:
        frame: uint8 ``[B, C, H, W]``, the newest one; ``None`` in a world of features.
        reward: float32 ``[B]``, in the units that the world was trained on.
        terminated: bool ``[B]``.
        reward_signs: float32 ``[B, 3]``, the probabilities that the reward is negative, zero,
            positive; ``None`` where a world does not know them.
        end_probability: float32 ``[B]``, of ``terminated``; ``None`` where it is not known.
        features: float32 ``[B, N, D]``, N tokens of the new frame; ``None`` in a world of frames.
        frames: uint8 ``[B, chunk, C, H, W]``, all that came of this action, ``frame`` the last of
            them; ``None`` where one step gives one frame.
    """

    frame: Tensor | None
    reward: Tensor
    terminated: Tensor
    reward_signs: Tensor | None = None
    end_probability: Tensor | None = None
    features: Tensor | None = None
    frames: Tensor | None = None

    def __post_init__(self) -> None:
        if self.frame is None and self.features is None:
            raise ValueError("A step shows a frame or features; this one has neither.")


class World(ABC):
    """A learned, batched environment.

    Its state is a tensor, or a tuple or dataclass of tensors; in each of them the batch comes
    first, so that states can be indexed, stored and mixed (:func:`where_state`).

    Attributes:
        action_space: of one actor, e.g. ``Discrete(4)``.
        frame_shape: ``(C, H, W)``, of the frames that ``reset`` takes, and of those that ``step``
            gives if it gives any.
        context_frames: how many real frames ``reset`` needs at least.
        chunk: frames that one step gives; the action holds for all of them.
        action_a_frame: whether ``step`` takes ``[B, chunk, ...]`` too: an action for each frame.
        predicts_reward: whether ``Step.reward`` and ``Step.terminated`` are predictions. A world
            that learned from video alone knows neither: rewards are 0, and no episode ends.
        idle: the action of a player who presses nothing; ``None`` where the world knows of none.
        likeness: how like its training frames a frame is, so that a dream that went wrong is
            noticed; ``None`` where the checkpoint brings no such measure.
        system: the trained system behind it; ``None`` where there is none.
    """

    action_space: gymnasium.Space
    frame_shape: tuple[int, int, int]
    context_frames: int = 1
    chunk: int = 1
    action_a_frame: bool = False
    predicts_reward: bool = True
    idle: int | None = None
    likeness: Likeness | None = None
    system: nn.Module | None = None

    @abstractmethod
    def reset(self, context: Clip) -> Any:
        """The state after a real clip: frames ``[B, T >= context_frames, C, H, W]``, actions."""

    @abstractmethod
    def step(
        self, state: Any, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Any, Step]:
        """One step with ``action`` (int64 ``[B]``, or float32 ``[B, A]`` for continuous ones).

        All randomness comes from ``generator``.
        """

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        for module in self.modules():
            for tensor in (*module.parameters(), *module.buffers()):
                return tensor.device
        return torch.device("cpu")

    def modules(self) -> list[nn.Module]:
        """The networks that it holds."""
        return [value for value in vars(self).values() if isinstance(value, nn.Module)]

    def to(self, device: torch.device | str) -> World:
        """Moves its networks, and returns it."""
        for module in self.modules():
            module.to(device)
        return self


class FeatureWorld(World):
    """A world whose steps show features in place of frames."""

    @abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """Features of real frames uint8 ``[B, T, C, H, W]``: ``[B, T, N, D]``, as in a step."""


class LatentActionWorld(World):
    """A world whose actions are latent codes that it learned from video."""

    @abstractmethod
    def infer_actions(self, clip: Clip) -> Tensor:
        """The codes int64 ``[B, T - 1]`` between a clip's frames; recorded ones stay unread."""


class PromptedWorld(World):
    """A world that is conditioned on a text prompt."""

    @abstractmethod
    def reset(self, context: Clip, prompt: tuple[str, ...] | None = None) -> Any:
        """As ``World.reset``; ``prompt``: a text for each clip, by default ``context.text``."""


class WorldModel(ABC):
    """A system that has a world: ``world()`` returns it.

    A system inherits from it beside ``LightningModule``.

    Attributes:
        Sampler: the frozen dataclass of what may be chosen when frames are drawn (steps,
            temperature, ...); ``None`` where nothing is drawn.
    """

    Sampler: ClassVar[type | None] = None

    @abstractmethod
    def world(self, sampler: Any = None) -> World:
        """The learned world.

        Args:
            sampler: a ``Sampler``; or a mapping of those of its fields that shall differ from the
                checkpoint's own; or ``None`` for the checkpoint's own.
        """


S = TypeVar("S")


def choose_sampler(own: S, given: S | Mapping[str, Any] | None) -> S:
    """The sampler that was meant.

    Args:
        own: the checkpoint's, a frozen dataclass; ``None`` where nothing is drawn.
        given: as in :meth:`WorldModel.world`.

    Raises:
        ValueError: there is no such field, or this is another system's sampler.
    """
    if given is None or (isinstance(given, Mapping) and not given):
        return own
    if own is None:
        raise ValueError("This world draws nothing at random, so it takes no sampler.")
    known = [field.name for field in fields(own)]
    if isinstance(given, Mapping):
        if unknown := sorted(set(given) - set(known)):
            raise ValueError(
                f"This world's sampler has no {' or '.join(map(repr, unknown))}; it has "
                f"{', '.join(known)}."
            )
        return replace(own, **given)
    if not isinstance(given, type(own)):
        raise ValueError(
            f"This world's sampler is a {type(own).__module__}.{type(own).__name__} with "
            f"{', '.join(known)}, or a mapping of some of these; got {given!r}."
        )
    return given


@dataclass(frozen=True)
class Needs:
    """What an agent or a tool requires of a world.

    Attributes:
        discrete: its actions are ``Discrete``.
        rewards: it predicts rewards and ends.
        frames: its steps show frames.
    """

    discrete: bool = False
    rewards: bool = False
    frames: bool = False

    def missing(self, world: World) -> list[str]:
        """What ``world`` lacks, in words; empty where it will do."""
        lacks = []
        if self.discrete and not isinstance(world.action_space, gymnasium.spaces.Discrete):
            kind = type(world.action_space).__name__
            lacks.append(f"Discrete actions (this world's are {kind}: ActionTable makes some)")
        if self.rewards and not world.predicts_reward:
            lacks.append("rewards (this world predicts none)")
        if self.frames and isinstance(world, FeatureWorld):
            lacks.append("frames (this world gives features, not frames)")
        return lacks

    def check(self, who: str, world: World) -> None:
        """Raises ``ValueError`` with one sentence where ``world`` will not do for ``who``."""
        if not isinstance(world, World):
            raise ValueError(
                f"{who} needs a world, an object whose class inherits from wmlearn.world.World; "
                f"got {type(world).__name__}."
            )
        if lacks := self.missing(world):
            sentence = f"{who} needs {' and '.join(lacks)}: choose a world of another system."
            raise ValueError(sentence)


class ActionTable(World):
    """A world with continuous actions as one with a few named ones: what keys can press.

    Args:
        world: with a ``Box`` of actions.
        table: float32 ``[K, A]``, the vector of each action.
    """

    def __init__(self, world: World, table: Tensor) -> None:
        self.world, self._table = world, torch.as_tensor(table, dtype=torch.float32)
        self.action_space = gymnasium.spaces.Discrete(len(self._table))
        self.frame_shape, self.context_frames = world.frame_shape, world.context_frames
        self.chunk, self.action_a_frame = world.chunk, world.action_a_frame
        self.predicts_reward, self.system = world.predicts_reward, world.system

    def reset(self, context: Clip) -> Any:
        """As the world's; ``context.actions`` are numbers of the table, or vectors already."""
        actions = context.require("actions").actions
        vectors = actions if actions.is_floating_point() else self._vectors(actions)
        return self.world.reset(replace(context, actions=vectors))

    def step(
        self, state: Any, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Any, Step]:
        return self.world.step(state, self._vectors(action), generator)

    def modules(self) -> list[nn.Module]:
        return self.world.modules()

    def _vectors(self, actions: Tensor) -> Tensor:
        return self._table.to(actions.device)[actions]


class CopyLastFrame(World):
    """The baseline that every world of frames must beat: nothing ever moves.

    Args:
        action_space: passed through, so that the baseline fits wherever a world does.
        frame_shape: ``(C, H, W)``.
    """

    predicts_reward = False

    def __init__(self, action_space: gymnasium.Space, frame_shape: tuple[int, int, int]) -> None:
        self.action_space = action_space
        self.frame_shape = tuple(frame_shape)

    def reset(self, context: Clip) -> Tensor:
        return context.frames[:, -1]

    def step(
        self, state: Tensor, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Step]:
        return state, Step(state, *_nothing(state))


class CopyLastFeatures(FeatureWorld):
    """The same baseline for a world of features: the last real features, for ever.

    Args:
        world: whose features.
    """

    predicts_reward = False

    def __init__(self, world: FeatureWorld) -> None:
        self.action_space, self.frame_shape = world.action_space, world.frame_shape
        self._world = world

    def encode(self, frames: Tensor) -> Tensor:
        return self._world.encode(frames)

    def reset(self, context: Clip) -> Tensor:
        return self.encode(context.frames[:, -1:])[:, 0]

    def step(
        self, state: Tensor, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Step]:
        return state, Step(None, *_nothing(state), features=state)


def _nothing(state: Tensor) -> tuple[Tensor, Tensor]:
    """No reward, no end."""
    reward = torch.zeros(len(state), device=state.device)
    return reward, torch.zeros_like(reward, dtype=torch.bool)


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
        world: the dynamics of the environment.
        starts: real clips to start from, ``[N, T >= world.context_frames, C, H, W]`` with actions;
            or a function ``(count, rng) -> Clip`` that draws them.
        num_envs: dreams that go on at the same time.
        horizon: an episode is truncated after this many steps, as learned worlds drift.

    Raises:
        ValueError: it is a world of features, so there is no picture to observe.
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
        Needs(frames=True).check("A Gymnasium environment", world)
        self.world, self.num_envs, self.horizon = world, num_envs, horizon
        channels, height, width = world.frame_shape
        self.single_observation_space = gymnasium.spaces.Box(
            0, 255, (height, width, channels), np.uint8
        )
        self.single_action_space = world.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._draw = starts if callable(starts) else partial(_any_of, starts)
        self._state, self._frames = None, None
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
        frames, terminated = _images(step.frame), step.terminated.cpu().numpy()
        reward = step.reward.cpu().numpy().astype(np.float64)
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

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and deepcopy."""
        return {**self.__dict__, "_generator": self._generator.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _generator=torch.Generator())
        self._generator.set_state(state["_generator"])

    def _begin(self, count: int) -> tuple[Any, np.ndarray]:
        clip = self._draw(count, self.np_random)
        return self.world.reset(clip), _images(clip.frames[:, -1])


def _any_of(clips: Clip, count: int, rng: np.random.Generator) -> Clip:
    return clips[torch.from_numpy(rng.integers(len(clips), size=count))]


def _images(frames: Tensor) -> np.ndarray:
    """uint8 [B, C, H, W] -> [B, H, W, C]."""
    return frames.permute(0, 2, 3, 1).cpu().numpy()


def _objects(frames: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Gymnasium's layout of ``final_obs``: an object array, None where nothing ended."""
    values = np.full(len(done), None, dtype=object)
    for i in np.flatnonzero(done):
        values[i] = frames[i].copy()
    return values
