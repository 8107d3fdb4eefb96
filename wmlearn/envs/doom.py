"""The real DOOM engine (ViZDoom) as a Gymnasium environment with pixels."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import weakref
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

ENEMIES = ("MarineChainsawVzd", "Demon")  # the engine's names, in defend-the-center
MAX_ENEMIES = 5  # alive at the same time, in defend-the-center
HUD_STATE = (
    "ammo", "health", "kills", "angle",
    *(f"enemy{i}_{part}" for i in range(MAX_ENEMIES) for part in ("x", "y", "width", "height")),
)  # fmt: skip
"""What ``info["state"]`` holds with ``hud=True``. ``angle`` is in degrees. An enemy in view has its
center and size in units of the picture (0 left or top, 1 right or bottom), the tallest first; where
there are fewer enemies, zeros."""
# of the screen of 320 x 240, with hud: the window that is shown, and ammunition and health
_VIEW_ROWS, _VIEW_COLUMNS = slice(32, 176), slice(64, 256)
_HUD_ROWS, _HUD_COLUMNS = slice(208, 240), slice(0, 104)


class DoomEnv(gymnasium.Env):
    """One ViZDoom scenario; one button at a time.

    Observation: uint8 ``[size, size, 3]``, area-averaged from 160x120. Actions: ``Discrete``;
    0 presses nothing, ``i`` presses button ``i - 1`` of ``SCENARIOS``. Reward: the scenario's own,
    summed over the ``frame_skip`` tics (35 a second) that an action lasts. A time-out truncates;
    everything else that ends an episode terminates it. The engine shows no picture of an ended
    episode, so the last observation is the last tic that was drawn.

    With ``hud`` the lower quarter of the picture is the part of the status bar that shows
    ammunition and health, larger than on the screen, so that its digits can be read in 64 x 64
    pixels. The upper three quarters are a window in the middle of the view (3 x 3 pixels of 320 x
    240 are one of 64 x 64), so that monsters are larger than two pixels. ``info["state"]`` tells
    ``HUD_STATE``.

    Args:
        scenario: a key of ``SCENARIOS``.
        size: height and width of the observation.
        frame_skip: tics per action.
        labels: also track the objects in view (``labels()``; needed by the experts).
        hud: show the status bar, and tell what the engine knows (then labels are tracked, too).
        endless: nobody dies and no time runs out, so that a game in the player goes on. Health
            then stays as it is; what was recorded with mortal players says otherwise.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 35}
    render_mode = "rgb_array"

    def __init__(
        self,
        scenario: str,
        size: int = 64,
        frame_skip: int = 4,
        labels: bool = False,
        hud: bool = False,
        endless: bool = False,
    ) -> None:
        self.env_id = f"doom/{scenario}" + "-hud" * hud + "-endless" * endless
        self.frame_skip, self._size, self._hud, self._endless = frame_skip, size, hud, endless
        self.state_names = list(HUD_STATE) if hud else None
        buttons = SCENARIOS[scenario]
        self.action_names = ["noop", *buttons]
        self.action_space = Discrete(len(self.action_names))
        self.observation_space = pixel_space(size)
        self._presses = [[float(i == j) for i in range(len(buttons))] for j in (-1, 0, 1, 2)]
        engine = _Engine(scenario, labels or hud, hud)
        self.game = engine.game
        if endless:
            self.game.set_episode_timeout(0)
        self._close = weakref.finalize(self, engine.close)  # also at garbage and at exit
        self._state = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode; ``seed`` sets the generator from which episodes' seeds are drawn."""
        super().reset(seed=seed)
        self.game.set_seed(int(self.np_random.integers(2**31)))
        self.game.new_episode()
        if self._endless:
            self.game.send_game_command("god")  # the engine's own word for it
        self._state = self.game.get_state()
        return self._observe(), self._info()

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
        return self._observe(), reward, over and not truncated, truncated, self._info()

    def labels(self) -> list[tuple[str, float, float, float, float]]:
        """Objects in view as ``(name, x, y, width, height)``: center and size in screen units.

        x and y run from 0 (left, top) to 1 (right, bottom) of the picture; with ``hud``, what lies
        outside its window is below 0 or above 1.
        """
        height, width = self._state.screen_buffer.shape[:2]
        left = top = 0
        if self._hud:
            left, width = _VIEW_COLUMNS.start, _VIEW_COLUMNS.stop - _VIEW_COLUMNS.start
            top, height = _VIEW_ROWS.start, (_VIEW_ROWS.stop - _VIEW_ROWS.start) / 0.75
        return [
            (
                label.object_name,
                (label.x - left + label.width / 2) / width,
                (label.y - top + label.height / 2) / height,
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
        screen = self._state.screen_buffer
        if not self._hud:
            return resize(screen, self._size)
        bar = self._size // 4
        view = resize(screen[_VIEW_ROWS, _VIEW_COLUMNS], self._size, self._size - bar)
        return np.concatenate([view, resize(screen[_HUD_ROWS, _HUD_COLUMNS], self._size, bar)])

    def _info(self) -> dict[str, NDArray[np.float32]]:
        if not self._hud:
            return {}
        ammo, health, kills, angle = self._state.game_variables
        boxes = [box for name, *box in self.labels() if name in ENEMIES and _in_view(*box)]
        boxes = sorted(boxes, key=lambda box: -box[3])[:MAX_ENEMIES]
        state = np.zeros(len(HUD_STATE), np.float32)
        state[:4] = ammo, health, kills, angle
        state[4 : 4 + 4 * len(boxes)] = np.ravel(boxes)
        return {"state": state}


def _in_view(x: float, y: float, width: float, height: float) -> bool:
    """Whether some of a box can be seen in the window above the status bar."""
    return abs(x - 0.5) < (1 + width) / 2 and abs(y - 0.375) < 0.375 + height / 2


class _Engine:
    """A ViZDoom process that leaves neither files nor itself behind, however this process ends."""

    def __init__(self, scenario: str, labels: bool, hud: bool = False) -> None:
        try:
            import vizdoom
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'doom/{scenario} needs ViZDoom: pip install "wmlearn[envs]".'
            ) from error
        self._folder, self._guard = _guarded_folder()
        self.game = game = vizdoom.DoomGame()
        game.load_config(os.path.join(vizdoom.scenarios_path, scenario.replace("-", "_") + ".cfg"))
        config = Path(self._folder, "vizdoom.ini")
        # without these sections the engine makes a folder in the current directory
        games = ("Doom", "Heretic", "Hexen", "Strife", "Chex")
        config.write_text("".join(f"[{name}.AutoExec]\n" for name in games))
        game.set_doom_config_path(str(config))
        game.add_game_args("+snd_efx 0")
        resolution, known = vizdoom.ScreenResolution, vizdoom.GameVariable
        game.set_screen_resolution(resolution.RES_320X240 if hud else resolution.RES_160X120)
        game.set_render_hud(hud)
        if hud:
            game.set_available_game_variables(
                [known.AMMO2, known.HEALTH, known.KILLCOUNT, known.ANGLE]
            )
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_window_visible(False)
        game.set_sound_enabled(False)
        game.set_labels_buffer_enabled(labels)
        game.init()

    def close(self) -> None:
        self.game.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()


_GUARD = """
trap '' PIPE  # whoever asked may have died already
folder=$(mktemp -d "$1/wmlearn-vizdoom-XXXXXX") || exit
echo "$folder"
read _  # the pipe closes when the process that holds it ends, even by kill -9
for again in 1 2 3 4 5; do  # the engine may just be starting
    for file in $(grep -lsF "$folder/" /proc/[0-9]*/cmdline); do
        process=${file%/cmdline}
        grep -qsx vizdoom "$process/comm" || continue
        id=$(tr '\\0' '\\n' < "$file" | sed -n '/^+viz_instance_id$/{n;p;}')
        kill -9 "${process#/proc/}"
        [ -n "$id" ] && rm -f /dev/shm/ViZDoom*"$id"
    done
    sleep 0.5
done
rm -rf "$folder"
"""


def _guarded_folder() -> tuple[str, subprocess.Popen | None]:
    """A new folder for an engine's settings, and a shell that outlives us to clean up.

    The shell is there before the engine, makes the folder, and knows the engine by it: so nothing
    stays behind whenever this process dies. Without /proc (not Linux) there is no such shell.

    Raises:
        OSError: no folder can be made.
    """
    if not Path("/proc/self/cmdline").exists():
        return tempfile.mkdtemp(prefix="wmlearn-vizdoom-"), None
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, "sh", tempfile.gettempdir()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    folder = guard.stdout.readline().rstrip("\n")
    if not folder:
        guard.communicate()
        raise OSError(
            f"ViZDoom needs a folder for its settings and {tempfile.gettempdir()} takes none: make "
            "room there, or name another place in TMPDIR."
        )
    return folder, guard
