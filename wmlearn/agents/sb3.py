"""A dream for Stable-Baselines3: an unmodified PPO trains in it.

from stable_baselines3 import PPO

PPO("CnnPolicy", SB3Env(WorldEnv(world, starts, num_envs=8))).learn(10_000)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wmlearn.world import WorldEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'Stable-Baselines3 is not installed; get it with pip install -e ".[rl]".'
    ) from error


class SB3Env(VecEnv):
    """Translates Gymnasium's vector environment into Stable-Baselines3's own.

    Args:
        env: the world to train in.
    """

    def __init__(self, env: WorldEnv) -> None:
        self.env = env  # first: the base class asks for its render mode
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._actions: np.ndarray | None = None
        self._seed: int | None = None

    def seed(self, seed: int | None = None) -> list[int | None]:
        self._seed = seed
        return [seed] * self.num_envs

    def reset(self) -> np.ndarray:
        frames, _ = self.env.reset(seed=self._seed)
        self._seed = None
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return frames

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        frames, rewards, terminated, truncated, infos = self.env.step(self._actions)
        own: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(terminated | truncated):
            own[i]["terminal_observation"] = infos["final_obs"][i]
            own[i]["TimeLimit.truncated"] = bool(truncated[i])
        return frames, rewards.astype(np.float32), terminated | truncated, own

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> tuple[np.ndarray, ...]:
        return self.env.render()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.env, attr_name)] * len(self._rows(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *args, indices: Any = None, **kwargs) -> list[Any]:
        result = getattr(self.env, method_name)(*args, **kwargs)
        return [result] * len(self._rows(indices))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * len(self._rows(indices))

    def _rows(self, indices: Any) -> list[int]:
        return list(self._get_indices(indices))
