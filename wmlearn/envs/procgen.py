"""Procgen's platform games (Cobbe et al. 2020), as envpool packs them: every seed is a level."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space, resize

GAMES = ("coinrun", "ninja", "jumper", "climber")
MOVES = {"noop": 4, "left": 1, "right": 7, "jump": 5, "left_jump": 2, "right_jump": 8}
_MISSING = (
    'procgen/{} needs envpool and the Qt 5 library: pip install "wmlearn[procgen]", and on Debian '
    "or Ubuntu apt-get install libqt5gui5 ({})."
)


class ProcgenEnv(gymnasium.Env):
    """One Procgen platformer. Each ``reset(seed=s)`` draws one of 2³¹ levels.

    The hero stays in the middle; the level scrolls. Observation: uint8 ``[size, size, 3]``, drawn
    by the game at 64 x 64. Actions: the six moves of Procgen's fifteen buttons that a platformer
    needs. Reward: the game's own (CoinRun: 10 for the coin).

    Args:
        game: one of ``GAMES``.
        size: height and width of the observation.
        frame_skip: game steps (of 15 a second) for which an action lasts. The hero gains speed over
            about five steps, so that within one step hardly any effect of a button can be seen.
        mode: ``easy``, or ``hard`` (longer levels in several styles), as in the Genie paper.
        backgrounds: draw the game's landscape behind the level; black otherwise.
        level: always play this level; by default ``reset`` draws one from its seed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}
    render_mode = "rgb_array"

    def __init__(
        self,
        game: str,
        size: int = 64,
        frame_skip: int = 3,
        mode: str = "easy",
        backgrounds: bool = False,
        level: int | None = None,
    ) -> None:
        if mode not in ("easy", "hard"):
            raise ValueError(f"Procgen has the modes easy and hard; got {mode!r}.")
        self.env_id = f"procgen/{game}" + ("-hard" if mode == "hard" else "")
        self.frame_skip, self._size, self.level = frame_skip, size, level
        try:
            import envpool
        except ImportError as error:
            raise ModuleNotFoundError(_MISSING.format(game, error)) from error
        self._make, self._task = envpool.make, f"{game.title()}{mode.title()}-v0"
        self._fixed = level
        self._options = dict(env_type="gymnasium", num_envs=1, use_backgrounds=backgrounds)
        self.action_names = list(MOVES)
        self._buttons = [np.array([button]) for button in MOVES.values()]
        self.action_space = Discrete(len(MOVES))
        self.observation_space = pixel_space(size)
        self._game = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts a level: the one that was asked for, else one drawn from ``seed``."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31 - 1))
        self.level = drawn if self._fixed is None else self._fixed
        self._game = self._start()
        self._show(self._game.reset()[0])
        self._over = False
        return self._frame, {"level": self.level}

    def step(self, action: int):
        if self._game is None or self._over:
            raise RuntimeError("The episode is over: call reset() before step().")
        total, terminated, truncated = 0.0, False, False
        for _ in range(self.frame_skip):
            picture, reward, ended, cut, _ = self._game.step(self._buttons[int(action)])
            total += float(reward[0])
            terminated, truncated = bool(ended[0]), bool(cut[0])
            self._show(picture)
            if terminated or truncated:
                break
        self._over = terminated or truncated
        return self._frame, total, terminated, truncated and not terminated, {"level": self.level}

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    def _start(self):
        try:
            return self._make(
                self._task, seed=self.level, num_levels=1, start_level=self.level, **self._options
            )
        except ImportError as error:  # the Qt library is looked for only now
            game = self.env_id.removeprefix("procgen/")
            raise ModuleNotFoundError(_MISSING.format(game, error)) from error

    def _show(self, picture: NDArray[np.uint8]) -> None:
        self._frame = resize(np.ascontiguousarray(picture[0].transpose(1, 2, 0)), self._size)
