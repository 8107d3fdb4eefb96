"""Any Gymnasium environment that shows pixels, resized to one shape."""

from __future__ import annotations

import math
import re
from importlib.util import find_spec

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from numpy.typing import NDArray
from PIL import Image

from wmlearn.spelling import perhaps


def resize(frame: NDArray[np.uint8], size: int, height: int | None = None) -> NDArray[np.uint8]:
    """uint8 ``[h, w, 3]`` -> uint8 ``[height, size, 3]`` by area averaging (antialiased).

    The aspect ratio is not kept: the whole picture is always seen. ``height`` is ``size`` if it is
    not given.
    """
    height = size if height is None else height
    if frame.shape[:2] == (height, size):
        return np.array(frame, dtype=np.uint8)
    return np.asarray(Image.fromarray(frame).resize((size, height), Image.Resampling.BOX))


MOST_CHOICES = 256
"""Combinations of several choices that are still recorded as one choice."""


def pixel_space(size: int) -> Box:
    return Box(0, 255, (size, size, 3), np.uint8)


def to_picture(
    array: NDArray, scale: tuple[float, float] | None = None, source: str = "render()"
) -> NDArray[np.uint8]:
    """Any usual picture -> uint8 ``[h, w, 3]``.

    Args:
        array: ``[h, w]`` or ``[h, w, C]`` with C = 1 (gray), 3 (RGB) or 4 (RGBA; alpha is
            dropped); bool, an integer type, or floating point.
        scale: the values of black and white. Default: 0 and 1 for bool and floating point, 0 and
            the largest value of an unsigned type, else 0 and 255.
        source: where it is from, for the error's sentence.

    Raises:
        ValueError: another shape, or values outside of the scale: nothing is guessed.
    """
    array = np.asarray(array)
    shape, kind = array.shape, array.dtype
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            f"{source} gave {kind} {list(shape)}, which is no picture: return uint8 [height, "
            "width, 3]."
        )
    array = array[..., :3]
    if array.dtype != np.uint8 or scale not in (None, (0.0, 255.0)):
        array = _to_bytes(array, scale, source)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _to_bytes(array: NDArray, scale: tuple[float, float] | None, source: str) -> NDArray[np.uint8]:
    kind = array.dtype
    if kind.kind not in "buif":
        raise ValueError(f"{source} gave {kind}, which is no picture: return uint8, 0 to 255.")
    if scale is None:
        unsigned = float(np.iinfo(kind).max) if kind.kind == "u" else 255.0
        scale = (0.0, 1.0 if kind.kind in "bf" else unsigned)
    low, high = scale
    values = array.astype(np.float64)
    slack = 1e-3 * (high - low)  # a renderer's rounding
    if not (values.min() >= low - slack and values.max() <= high + slack):
        raise ValueError(
            f"{source} gave {kind} from {values.min():g} to {values.max():g} where {low:g} is "
            f"black and {high:g} is white: return uint8, 0 to 255."
        )
    return np.rint((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)


def _picture_scale(space: gymnasium.Space) -> tuple[float, float] | None:
    """Black and white of an observation that is a picture; None where it is none.

    A small grid, a box without finite bounds, and planes of numbers that are not bytes are
    symbols or measurements; four channels are frames on a stack as often as RGBA.
    """
    if not (isinstance(space, Box) and len(space.shape) in (2, 3) and min(space.shape[:2]) >= 32):
        return None
    channels = space.shape[2] if len(space.shape) == 3 else 1
    if not (channels == 3 or (channels == 1 and space.dtype == np.uint8)):
        return None
    low, high = float(space.low.min()), float(space.high.max())
    one_range = (space.low == space.low.min()).all() and (space.high == space.high.max()).all()
    return (low, high) if one_range and np.isfinite([low, high]).all() and low < high else None


class PixelEnv(gymnasium.Env):
    """A Gymnasium id as an environment whose observation is a picture.

    The picture is the observation itself where it is an image (its space says which values are
    black and white), else ``render()`` with ``render_mode="rgb_array"``; see ``to_picture``.

    Args:
        env_id: a Gymnasium id; ``module:Name-v0`` imports the module that registers it.
        size: height and width of the observation.
        frame_skip: how many environment steps one action lasts; rewards add up.
        **kwargs: passed to ``gymnasium.make``.
    """

    metadata = {"render_modes": ["rgb_array"]}
    render_mode = "rgb_array"

    def __init__(self, env_id: str, size: int = 64, frame_skip: int = 1, **kwargs) -> None:
        self.env_id, self.frame_skip, self._size = env_id, frame_skip, size
        self.env = _gymnasium_make(env_id, **kwargs)
        self._scale = _picture_scale(self.env.observation_space)
        if self._scale is None:
            self.env.close()
            if "rgb_array" not in (self.env.metadata.get("render_modes") or ()):
                raise ValueError(
                    f"{env_id} shows no pixels: its observation is not an image and it has no "
                    'render_mode="rgb_array". Choose an environment that renders.'
                )
            self.env = _gymnasium_make(env_id, render_mode="rgb_array", **kwargs)
        self.observation_space = pixel_space(size)
        if isinstance(self.env.action_space, (MultiDiscrete, MultiBinary)):
            self.env = OneChoice(self.env)
        self.action_space = self.env.action_space
        if not isinstance(self.action_space, (Discrete, Box)):
            self.env.close()
            raise ValueError(
                f"{env_id} has actions of type {self.action_space}; only Discrete, Box, "
                f"MultiDiscrete and MultiBinary ones of at most {MOST_CHOICES} combinations can "
                "be recorded. Make them such in a wrapper of your own first."
            )
        self.action_names: list[str] | None = _action_names(self.env)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        observation, info = self.env.reset(seed=seed, options=options)
        return self._picture(observation), info

    def step(self, action):
        total = 0.0
        for _ in range(self.frame_skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += _number(reward, self.env_id)
            if terminated or truncated:
                break
        return self._picture(observation), total, bool(terminated), bool(truncated), info

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    def close(self) -> None:
        self.env.close()

    def _picture(self, observation) -> NDArray[np.uint8]:
        if self._scale is not None:
            picture = to_picture(observation, self._scale, f"{self.env_id}: the observation")
        else:
            picture = to_picture(self.env.render(), source=f"{self.env_id}: render()")
        self._frame = resize(picture, self._size)
        return self._frame


class OneChoice(gymnasium.ActionWrapper):
    """Several choices at once (MultiDiscrete, MultiBinary) as one choice of all combinations.

    Choice 0 is the first option of each; the last part changes fastest. The space stays as it is
    where there are more than ``MOST_CHOICES`` combinations.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        space = env.action_space
        several = isinstance(space, MultiDiscrete)
        sizes = space.nvec if several else np.full(space.shape, 2)
        self._start = space.start if several else np.zeros(space.shape, np.int64)
        if math.prod(sizes.flatten().tolist()) <= MOST_CHOICES:
            self._sizes = sizes
            self.action_space = Discrete(int(sizes.prod()))

    def action(self, action: int) -> NDArray:
        parts = np.stack(np.unravel_index(action, self._sizes.flatten())).reshape(self._sizes.shape)
        return (parts + self._start).astype(self.env.action_space.dtype)


def _number(reward, env_id: str) -> float:
    """A reward that is a number, or an array with one number in it."""
    values = np.asarray(reward, np.float64)
    if values.size != 1:
        raise ValueError(
            f"{env_id} gave a reward of shape {list(values.shape)}: it must be one number a step."
        )
    return float(values.reshape(()))


def _gymnasium_make(env_id: str, **kwargs) -> gymnasium.Env:
    try:
        return gymnasium.make(env_id, **kwargs)
    except gymnasium.error.DependencyNotInstalled as error:
        raise ModuleNotFoundError(f"{env_id} needs a package that is missing: {error}") from error
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise ValueError(
            f"There is no environment {env_id!r}: it is none of wmlearn.envs.list_envs() and "
            f"Gymnasium cannot make it ({error}).{_suggestion(env_id)}"
        ) from error
    except TypeError as error:
        raise ValueError(f"{env_id} does not take these options: {error}.") from error


def _suggestion(env_id: str) -> str:
    """An installed package that is named as the id begins (MiniGrid-...), or an id of ours that is
    spelled like it."""
    from wmlearn.envs import list_envs  # which imports this module

    module = re.split(r"[-/]", env_id)[0].lower()
    if ":" in env_id or not module.isidentifier() or find_spec(module) is None:
        return perhaps(env_id, list_envs())
    return f" The package {module} is installed: try {module}:{env_id}"


def _action_names(env: gymnasium.Env) -> list[str] | None:
    """``get_action_meanings`` (the Atari habit) or the names of an enum ``actions`` (MiniGrid)."""
    space, base = env.action_space, env.unwrapped
    if not isinstance(space, Discrete):
        return None
    names: list[str] = []
    if hasattr(base, "get_action_meanings"):
        names = [name.lower() for name in base.get_action_meanings()]
    elif hasattr(getattr(base, "actions", None), "__members__"):
        names = list(base.actions.__members__)
    return names if len(names) == space.n else [str(space.start + i) for i in range(space.n)]
