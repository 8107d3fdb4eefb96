"""Meta-World: a Sawyer arm at a table with 50 tasks, drawn fast enough to record.

Drawn plainly (no shadows, reflections or multisampling), a frame takes about a tenth of the time
that the simulator's own settings take, and the goal marks are hidden, since they would tell a
probe which task it is looking at.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space, resize

if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "osmesa")  # read by mujoco when it is first imported

PAIRS: tuple[tuple[str, str], ...] = (
    ("door-open", "door-close"),
    ("drawer-open", "drawer-close"),
    ("window-open", "window-close"),
    ("faucet-open", "faucet-close"),
    ("handle-press", "handle-pull"),
    ("plate-slide", "plate-slide-back"),
    ("coffee-push", "coffee-pull"),
    ("push", "push-back"),
)
"""Tasks that undo each other: told apart by the motion, hardly by any single frame."""


@dataclass(frozen=True)
class View:
    """Where the camera stands; angles in degrees, lengths in meters.

    The default looks at the table from the front right, close enough to see the gripper at 64
    pixels.
    """

    azimuth: float = 140.0
    elevation: float = -28.0
    distance: float = 1.15
    look_at: tuple[float, float, float] = (0.0, 0.66, 0.14)


class MetaWorldEnv(gymnasium.Env):
    """One Meta-World task with pixels.

    Observation: uint8 ``[size, size, 3]``. Actions: ``Box(-1, 1, (4,))``, the gripper's motion
    along x, y, z and its grip. Reward: the task's own, 0 to 10 a step, summed over ``frame_skip``.
    It never terminates; it is truncated after 500 steps of the simulator. ``info["success"]`` says
    whether the task is done.

    Args:
        task: e.g. ``door-open`` (see ``metaworld_tasks``).
        size: height and width of the observation.
        frame_skip: simulator steps (80 a second) per action.
        view: where the camera stands.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 40}
    render_mode = "rgb_array"
    action_names = None

    def __init__(
        self, task: str, size: int = 64, frame_skip: int = 2, view: View | None = None
    ) -> None:
        tasks, policies = _metaworld()
        if f"{task}-v3" not in tasks:
            known = ", ".join(metaworld_tasks())
            raise ValueError(f"There is no Meta-World task {task!r}; choose one of {known}.")
        self.env_id, self.frame_skip, self._size = f"metaworld/{task}", frame_skip, size
        self.view = view or View()
        self._sim = tasks[f"{task}-v3"]()
        # A task is drawn anew at each reset, and the whole state is told (to the experts).
        self._sim._set_task_called, self._sim._freeze_rand_vec = True, False
        self._sim.seeded_rand_vec, self._sim._partially_observable = True, False
        self._make_expert = policies[f"{task}-v3"]
        self.observation_space = pixel_space(size)
        self.action_space = Box(-1, 1, (4,), np.float32)
        self._draw = _Drawer(self._sim, 2 * size)
        self._state: NDArray[np.float64] | None = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self._sim.seed(int(self.np_random.integers(2**31)))
        self._state, _ = self._sim.reset()
        return self.render(), {}

    def step(self, action):
        reward, truncated, success = self.simulate(action)
        return self.render(), reward, False, truncated, {"success": success}

    def simulate(self, action: NDArray) -> tuple[float, bool, bool]:
        """A step that draws nothing: reward, whether the time is up, whether the task is done."""
        if self._state is None:
            raise RuntimeError("Call reset() before the first step().")
        total, truncated, success = 0.0, False, False
        action = np.clip(np.asarray(action, np.float64), -1, 1)
        for _ in range(self.frame_skip):
            self._state, reward, _, truncated, info = self._sim.step(action)
            total, success = total + float(reward), success or bool(info["success"])
            if truncated:
                break
        return total, bool(truncated), success

    def state(self) -> NDArray[np.float64]:
        """The simulator's own observation ``[39]``; 0 to 2 the hand, 4 to 6 the object (meters)."""
        return self._state.copy()

    def expert(self) -> Callable[..., NDArray[np.float32]]:
        """The task's scripted policy: a function that gives this environment's next action."""
        policy = self._make_expert()

        def act(env: MetaWorldEnv | None = None) -> NDArray[np.float32]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says that its actions will be clipped
                return np.clip(policy.get_action(self.state()), -1, 1).astype(np.float32)

        return act

    def pose(self) -> NDArray[np.float64]:
        """All joints, for :meth:`draw`."""
        return self._sim.data.qpos.copy()

    def draw(self, pose: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture of an earlier pose; the simulation goes on from its own, unharmed."""
        return resize(self._draw(pose, self.view), self._size)

    def render(self) -> NDArray[np.uint8]:
        return self.draw(self.pose())

    def close(self) -> None:
        self._draw.close()
        self._sim.close()


class _Drawer:
    """Draws poses of a model with a camera of its own."""

    def __init__(self, sim, size: int) -> None:
        import mujoco

        self._mujoco, model = mujoco, sim.model
        model.vis.quality.offsamples = 0
        model.vis.quality.shadowsize = 0
        model.light_castshadow[:] = 0
        model.mat_reflectance[:] = 0
        self._model, self._data = model, mujoco.MjData(model)
        self._source = sim.data
        self._renderer = mujoco.Renderer(model, size, size)
        self._camera, self._option = mujoco.MjvCamera(), mujoco.MjvOption()
        self._option.sitegroup[:] = 0  # the marks of goals

    def __call__(self, pose: NDArray[np.float64], view: View) -> NDArray[np.uint8]:
        mujoco, camera = self._mujoco, self._camera
        self._data.qpos[:] = pose
        self._data.mocap_pos[:] = self._source.mocap_pos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        camera.azimuth, camera.elevation, camera.distance = (
            view.azimuth,
            view.elevation,
            view.distance,
        )
        camera.lookat[:] = view.look_at
        self._renderer.update_scene(self._data, camera=camera, scene_option=self._option)
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        return self._renderer.render()

    def close(self) -> None:
        self._renderer.close()


def metaworld_tasks() -> list[str]:
    """Names of the tasks, where Meta-World is installed; else none.

    They are read off its file: its import takes a second, and brings the simulator.
    """
    spec = find_spec("metaworld")
    if spec is None or not spec.submodule_search_locations:
        return []
    file = Path(spec.submodule_search_locations[0]) / "env_dict.py"
    return sorted(set(re.findall(r'"([a-z-]+)-v3"', file.read_text(encoding="utf-8"))))


def _metaworld() -> tuple[dict, dict]:
    """Tasks and scripted policies by name (``door-open-v3``)."""
    try:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS
        from metaworld.policies import ENV_POLICY_MAP
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Meta-World is not installed: pip install 'wmlearn[robots]' (and on Linux without a "
            "screen, the system package libosmesa6)."
        ) from error
    return dict(ALL_V3_ENVIRONMENTS), dict(ENV_POLICY_MAP)
