"""The real DOOM engine (ViZDoom) as a Gymnasium environment with pixels."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space, resize

SCENARIOS: dict[str, tuple[str, ...]] = {
    "basic": ("left", "right", "attack"),
    "health-gathering": ("turn_left", "turn_right", "forward"),
    "defend-the-center": ("turn_left", "turn_right", "attack"),
}
"""Scenario -> its buttons, in the order of the scenario's file."""


class DoomEnv(gymnasium.Env):
    """One ViZDoom scenario; one button at a time.

    Observation: uint8 ``[size, size, 3]``, area-averaged from 160x120. Actions: ``Discrete``;
    0 presses nothing, ``i`` presses button ``i - 1`` of ``SCENARIOS``. Reward: the scenario's own,
    summed over the ``frame_skip`` tics (35 a second) that an action lasts. A time-out truncates;
    everything else that ends an episode terminates it. The engine shows no picture of an ended
    episode, so the last observation is the last tic that was drawn.

    Args:
        scenario: a key of ``SCENARIOS``.
        size: height and width of the observation.
        frame_skip: tics per action.
        labels: also track the objects in view (``labels()``; needed by the experts).
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 35}
    render_mode = "rgb_array"

    def __init__(
        self, scenario: str, size: int = 64, frame_skip: int = 4, labels: bool = False
    ) -> None:
        self.env_id, self.frame_skip, self._size = f"doom/{scenario}", frame_skip, size
        buttons = SCENARIOS[scenario]
        self.action_names = ["noop", *buttons]
        self.action_space = Discrete(len(self.action_names))
        self.observation_space = pixel_space(size)
        self._presses = [[float(i == j) for i in range(len(buttons))] for j in (-1, 0, 1, 2)]
        engine = _Engine(scenario, labels)
        self.game = engine.game
        self._close = weakref.finalize(self, engine.close)  # also at garbage and at exit
        self._state = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode; ``seed`` sets the generator from which episodes' seeds are drawn."""
        super().reset(seed=seed)
        self.game.set_seed(int(self.np_random.integers(2**31)))
        self.game.new_episode()
        self._state = self.game.get_state()
        return self._observe(), {}

    def step(self, action: int):
        if self._state is None or self.game.is_episode_finished():
            raise RuntimeError("The episode is over: call reset() before step().")
        before = self.game.get_total_reward()
        self.game.set_action(self._presses[int(action)])
        for _ in range(self.frame_skip):
            self.game.advance_action(1, True)
            if (state := self.game.get_state()) is None:
                break
            self._state = state
        over = self.game.is_episode_finished()
        truncated = over and self.game.is_episode_timeout_reached()
        if self.game.is_player_dead():
            truncated = False
        reward = self.game.get_total_reward() - before
        return self._observe(), reward, over and not truncated, truncated, {}

    def labels(self) -> list[tuple[str, float, float, float, float]]:
        """Objects in view as ``(name, x, y, width, height)``: center and size in screen units.

        x and y run from 0 (left, top) to 1 (right, bottom) of the picture.
        """
        height, width = self._state.screen_buffer.shape[:2]
        return [
            (
                label.object_name,
                (label.x + label.width / 2) / width,
                (label.y + label.height / 2) / height,
                label.width / width,
                label.height / height,
            )
            for label in self._state.labels
        ]

    def render(self) -> NDArray[np.uint8]:
        return self._observe()

    def close(self) -> None:
        self._close()

    def _observe(self) -> NDArray[np.uint8]:
        return resize(self._state.screen_buffer, self._size)


class _Engine:
    """A ViZDoom process that leaves neither files nor itself behind, however this process ends."""

    def __init__(self, scenario: str, labels: bool) -> None:
        try:
            import vizdoom
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'doom/{scenario} needs ViZDoom: pip install "wmlearn[envs]".'
            ) from error
        self._folder = tempfile.mkdtemp(prefix="wmlearn-vizdoom-")
        self.game = game = vizdoom.DoomGame()
        game.load_config(os.path.join(vizdoom.scenarios_path, scenario.replace("-", "_") + ".cfg"))
        config = Path(self._folder, "vizdoom.ini")
        # without these sections the engine makes a folder in the current directory
        games = ("Doom", "Heretic", "Hexen", "Strife", "Chex")
        config.write_text("".join(f"[{name}.AutoExec]\n" for name in games))
        game.set_doom_config_path(str(config))
        game.add_game_args("+snd_efx 0")
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_window_visible(False)
        game.set_sound_enabled(False)
        game.set_labels_buffer_enabled(labels)
        before = _child_processes()
        game.init()
        self._guard = _clean_up_after_us(_child_processes() - before, self._folder)

    def close(self) -> None:
        self.game.close()
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


def _child_processes() -> set[str]:
    """The ids of this process's children (Linux; elsewhere none)."""
    pids: set[str] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has just ended
            pids.update(file.read_text().split())
    return pids


def _clean_up_after_us(pids: set[str], folder: str) -> subprocess.Popen | None:
    """A shell that waits on a pipe from us. The pipe closes even if we are killed (``kill -9``)."""
    if not pids:
        return None
    script = """
        folder=$1; shift; read _
        for pid; do grep -qsx vizdoom /proc/$pid/comm && kill -9 $pid; done
        rm -rf "$folder"
    """
    command = ["sh", "-c", script, "sh", folder, *sorted(pids)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
