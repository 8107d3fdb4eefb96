"""Atari 2600 games (ale-py) as the Atari 100k literature plays them, with RGB pixels."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space, resize


def atari_games() -> list[str]:
    """Names of the games whose ROM is installed with ale-py (none without ale-py)."""
    try:
        from ale_py import roms
    except ModuleNotFoundError:
        return []
    return sorted(game.replace("_", "-") for game in roms.get_all_rom_ids())


class AtariEnv(gymnasium.Env):
    """One Atari game: frame skip 4 with the maximum of the last two frames (sprites flicker).

    No sticky actions, a minimal action set, up to ``noops`` no-ops at the start, the game's own
    unclipped reward; the loss of a life does not end the episode.

    Args:
        game: ``breakout``, ``space-invaders``, ...
        size: height and width of the observation, area-averaged from 210x160.
        frame_skip: emulator frames per action.
        noops: the largest number of no-op frames at reset, drawn from the seed.
        sticky: probability that the emulator repeats the previous action instead.
        max_frames: emulator frames after which the episode is truncated (30 minutes of play).
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}
    render_mode = "rgb_array"

    def __init__(
        self,
        game: str,
        size: int = 64,
        frame_skip: int = 4,
        noops: int = 30,
        sticky: float = 0.0,
        max_frames: int = 108_000,
    ) -> None:
        self.env_id, self.frame_skip, self._size = f"atari/{game}", frame_skip, size
        self._noops, self._max_frames = noops, max_frames
        try:
            from ale_py import ALEInterface, LoggerMode, roms
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'atari/{game} needs ale-py: pip install "wmlearn[envs]".'
            ) from error
        ALEInterface.setLoggerMode(LoggerMode.Error)
        name = game.replace("-", "_")
        if name not in roms.get_all_rom_ids():
            raise ValueError(
                f"There is no Atari game {game!r}; wmlearn.envs.list_envs() names them all."
            )
        self._rom = roms.get_rom_path(name)
        self.ale = ALEInterface()
        self.ale.setFloat("repeat_action_probability", sticky)
        self._load(seed=0)
        self._actions = self.ale.getMinimalActionSet()
        self.action_names = [action.name.lower() for action in self._actions]
        self.action_space = Discrete(len(self._actions))
        self.observation_space = pixel_space(size)

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        if seed is not None:
            self._load(int(self.np_random.integers(2**31)))
        self.ale.reset_game()
        for _ in range(int(self.np_random.integers(self._noops + 1))):
            self.ale.act(0)
            if self.ale.game_over():
                self.ale.reset_game()
        self._frame = resize(self.ale.getScreenRGB(), self._size)
        return self._frame, {"lives": self.ale.lives()}

    def step(self, action: int):
        reward, screens = 0.0, []
        for frame in range(self.frame_skip):
            reward += self.ale.act(self._actions[int(action)])
            over = self.ale.game_over()
            if frame >= self.frame_skip - 2 or over:
                screens.append(self.ale.getScreenRGB())
            if over:
                break
        self._frame = resize(np.maximum.reduce(screens[-2:]), self._size)
        truncated = not over and self.ale.getEpisodeFrameNumber() >= self._max_frames
        return self._frame, float(reward), bool(over), truncated, {"lives": self.ale.lives()}

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    def _load(self, seed: int) -> None:
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(self._rom)
