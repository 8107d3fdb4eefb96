"""Any Gymnasium environment that shows pixels, resized to one shape."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from PIL import Image


def resize(frame: NDArray[np.uint8], size: int, height: int | None = None) -> NDArray[np.uint8]:
    """uint8 ``[h, w, 3]`` -> uint8 ``[height, size, 3]`` by area averaging (antialiased).

    The aspect ratio is not kept: the whole picture is always seen. ``height`` is ``size`` if it is
    not given.
    """
    height = size if height is None else height
    if frame.shape[:2] == (height, size):
        return np.array(frame, dtype=np.uint8)
    return np.asarray(Image.fromarray(frame).resize((size, height), Image.Resampling.BOX))


def pixel_space(size: int) -> Box:
    return Box(0, 255, (size, size, 3), np.uint8)


def _is_picture(space: gymnasium.Space) -> bool:
    """Whether an observation is an RGB picture (and not a small symbolic grid of bytes)."""
    return (
        isinstance(space, Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] == 3
        and min(space.shape[:2]) >= 32
    )


class PixelEnv(gymnasium.Env):
    """A Gymnasium id as an environment whose observation is a picture.

    The picture is the observation itself where it is an RGB image, else ``render()`` with
    ``render_mode="rgb_array"``.

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
        self._observation_is_picture = _is_picture(self.env.observation_space)
        if not self._observation_is_picture:
            self.env.close()
            if "rgb_array" not in (self.env.metadata.get("render_modes") or ()):
                raise ValueError(
                    f"{env_id} shows no pixels: its observation is not an RGB image and it has no "
                    'render_mode="rgb_array". Choose an environment that renders.'
                )
            self.env = _gymnasium_make(env_id, render_mode="rgb_array", **kwargs)
        self.observation_space = pixel_space(size)
        self.action_space = self.env.action_space
        if not isinstance(self.action_space, (Discrete, Box)):
            self.env.close()
            raise ValueError(
                f"{env_id} has actions of type {self.action_space}; only Discrete and Box actions "
                "can be recorded. Flatten them in a wrapper of your own first."
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
            total += float(reward)
            if terminated or truncated:
                break
        return self._picture(observation), total, bool(terminated), bool(truncated), info

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    def close(self) -> None:
        self.env.close()

    def _picture(self, observation) -> NDArray[np.uint8]:
        picture = observation if self._observation_is_picture else self.env.render()
        self._frame = resize(np.ascontiguousarray(picture, dtype=np.uint8), self._size)
        return self._frame


def _gymnasium_make(env_id: str, **kwargs) -> gymnasium.Env:
    try:
        return gymnasium.make(env_id, **kwargs)
    except gymnasium.error.DependencyNotInstalled as error:
        raise ModuleNotFoundError(f"{env_id} needs a package that is missing: {error}") from error
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise ValueError(
            f"There is no environment {env_id!r}: it is none of wmlearn.envs.list_envs() and "
            f"Gymnasium cannot make it ({error})."
        ) from error


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
