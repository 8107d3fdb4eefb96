"""A real robot arm in MuJoCo (Fetch of gymnasium-robotics) as an environment with pixels.

``fetch/reach``: bring the closed gripper to a place in the air. ``fetch/push``: push a block over
the table. The picture does not show the goal: a policy on pixels gets a goal *image*.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
import weakref
from contextlib import contextmanager

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space

TASKS = {"reach": "FetchReach-v4", "push": "FetchPush-v4"}
WORKSPACE = np.array([[1.10, 0.51, 0.42], [1.58, 0.99, 0.70]])
"""Meters, lowest and highest x, y, z of the gripper: what the camera sees."""
STEP = 0.064
"""Meters that the gripper moves along an axis for an action of 1."""
CLOSE = 0.05
"""Meters: nearer to the goal is success, as Gymnasium-Robotics counts it."""
_SUBSTEPS = 2  # environment steps of 0.04 s in an action
_CAMERA = dict(azimuth=135.0, elevation=-40.0, distance=1.02, lookat=(1.34, 0.75, 0.535))
_BLOCK_COLOR = (0.9, 0.25, 0.1, 1.0)


class FetchEnv(gymnasium.Env):
    """The Fetch arm, seen by one fixed camera.

    Observation: uint8 ``[size, size, 3]``. Action: ``Box(-1, 1, (3,))``, how far the gripper moves
    along x, y and z, in units of 6.4 cm; an action lasts 0.08 s, two steps of Gymnasium-Robotics,
    and the gripper stays closed and inside ``WORKSPACE``. Reward: 0 where gripper (reach) or block
    (push) is within 5 cm of the goal, else -1. Nothing terminates; an episode is truncated after
    25 actions, which are Gymnasium-Robotics' 50 steps.

    The simulator's state, float32 ``[S]`` in meters, is in ``info["state"]`` and named by
    ``state_names``: the gripper's place, which a real robot knows of itself too, and for the push
    task the block's, which is ground truth for probes. ``info["success"]`` says whether the goal
    is reached.

    Args:
        task: ``reach`` or ``push``.
        size: height and width of the observation.
        max_steps: actions in an episode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12.5}
    render_mode = "rgb_array"
    action_names = None
    frame_skip = _SUBSTEPS

    def __init__(self, task: str, size: int = 64, max_steps: int = 25) -> None:
        self.env_id, self._size, self.max_steps = f"fetch/{task}", size, max_steps
        mujoco, self._sim = _simulator(TASKS[task])
        self.has_block = task == "push"
        self.state_names = [f"{part}_{axis}" for part in self._parts() for axis in "xyz"]
        self.observation_space = pixel_space(size)
        self.action_space = Box(-1.0, 1.0, (3,), np.float32)
        self._camera = mujoco.MjvCamera()
        self._camera.lookat[:] = _CAMERA["lookat"]
        for name in ("azimuth", "elevation", "distance"):
            setattr(self._camera, name, _CAMERA[name])
        _make_drawing_fast(mujoco, self._sim.model, size)
        self._renderer = mujoco.Renderer(self._sim.model, size, size)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = False
        self._forward = lambda: mujoco.mj_forward(self._sim.model, self._sim.data)
        self._close = weakref.finalize(self, self._renderer.close)
        self._steps = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode; ``seed`` sets the generator from which episodes' seeds are drawn."""
        super().reset(seed=seed)
        self._sim.reset(seed=int(self.np_random.integers(2**31)))
        self._steps = 0
        return self._observe(), self._info()

    def step(self, action):
        if self._steps is None or self._steps >= self.max_steps:
            raise RuntimeError("The episode is over: call reset() before step().")
        self._move(np.asarray(action, np.float64))
        self._steps += 1
        info = self._info()
        reward = 0.0 if info["success"] else -1.0
        return self._observe(), reward, False, self._steps >= self.max_steps, info

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    def close(self) -> None:
        self._close()

    @property
    def gripper(self) -> NDArray[np.float64]:
        """Meters ``[3]``, where the closed fingers are."""
        return self._site("robot0:grip")

    @property
    def block(self) -> NDArray[np.float64] | None:
        """Meters ``[3]``, the block's middle; ``None`` in the reach task."""
        return self._site("object0") if self.has_block else None

    @property
    def goal(self) -> NDArray[np.float64]:
        """Meters ``[3]``, where gripper (reach) or block (push) shall be."""
        return self._sim.goal.copy()

    @goal.setter
    def goal(self, place) -> None:
        self._sim.goal = np.asarray(place, np.float64).copy()

    def picture(self, gripper, block=None) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """What the camera would see with gripper and block there; the episode goes on unchanged.

        The arm is driven there by the simulator, with the block out of its way, so the picture
        shows a pose that the arm can take.

        Args:
            gripper: meters ``[3]``; kept inside ``WORKSPACE``.
            block: meters ``[2]`` or ``[3]``, on the table; by default it stays where it is.

        Returns:
            uint8 ``[size, size, 3]``, and the state float32 ``[S]`` that it shows.
        """
        with self._as_before():
            if self.has_block:
                place = self.block if block is None else np.asarray(block, np.float64)
                self._put_block((2.5, 2.5))
            target = np.clip(np.asarray(gripper, np.float64), *WORKSPACE)
            for _ in range(40):
                if np.abs(target - self.gripper).max() < 2e-3:
                    break
                self._move((target - self.gripper) / STEP)
            if self.has_block:
                self._put_block(place[:2])
            return self._draw(), self._state()

    # --- the simulator -------------------------------------------------------------------------

    def _parts(self) -> tuple[str, ...]:
        return ("gripper", "block") if self.has_block else ("gripper",)

    def _site(self, name: str) -> NDArray[np.float64]:
        return self._sim.data.site(name).xpos.copy()

    def _state(self) -> NDArray[np.float32]:
        places = [self.gripper, self.block] if self.has_block else [self.gripper]
        return np.concatenate(places).astype(np.float32)

    def _info(self) -> dict:
        moved = self.block if self.has_block else self.gripper
        success = bool(np.linalg.norm(moved - self._sim.goal) < CLOSE)
        return {"state": self._state(), "success": success}

    def _move(self, action: NDArray[np.float64]) -> None:
        action = np.clip(action, -1, 1)
        for _ in range(_SUBSTEPS):
            here = self.gripper
            inside = np.clip(here + action * STEP / _SUBSTEPS, *WORKSPACE) - here
            command = np.append(inside * _SUBSTEPS / STEP, 0.0)
            self._sim.step(command.astype(np.float32))

    def _put_block(self, place) -> None:
        joint = self._sim.data.joint("object0:joint")
        joint.qpos[:] = [*place[:2], self._sim.height_offset, 1, 0, 0, 0]
        joint.qvel[:] = 0
        self._forward()

    @contextmanager
    def _as_before(self):
        data = self._sim.data
        names = ("qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat", "qacc_warmstart")
        kept, time = {name: getattr(data, name).copy() for name in names}, data.time
        welds = self._sim.model.eq_data.copy()
        try:
            yield
        finally:
            for name, value in kept.items():
                getattr(data, name)[:] = value
            data.time = time
            self._sim.model.eq_data[:] = welds
            self._forward()

    def _draw(self) -> NDArray[np.uint8]:
        self._renderer.update_scene(self._sim.data, self._camera)
        return self._renderer.render().copy()

    def _observe(self) -> NDArray[np.uint8]:
        self._frame = self._draw()
        return self._frame


def _simulator(name: str):
    """MuJoCo, and the simulator inside one of Gymnasium-Robotics' environments."""
    if "mujoco" not in sys.modules and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "osmesa")  # draws without a screen, and without a GPU
    try:
        import mujoco

        with contextlib.redirect_stderr(io.StringIO()):  # it prints news of other environments
            import gymnasium_robotics
    except ImportError as error:
        raise ModuleNotFoundError(
            'Fetch needs gymnasium-robotics: pip install "wmlearn[robots]" (and on a machine '
            "without a screen OSMesa, on Debian the package libosmesa6)."
        ) from error
    gymnasium.register_envs(gymnasium_robotics)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mujoco, gymnasium.make(name, disable_env_checker=True).unwrapped


def _make_drawing_fast(mujoco, model, size: int) -> None:
    """No shadows, no mirrors; the goal's mark is hidden, the block is red."""
    model.vis.quality.offsamples = 4
    model.vis.quality.shadowsize = 0
    model.light_castshadow[:] = 0
    model.mat_reflectance[:] = 0
    model.vis.global_.offwidth = model.vis.global_.offheight = size
    model.site_rgba[:, 3] = 0
    mocap = model.body("robot0:mocap").id
    model.geom_rgba[model.geom_bodyid == mocap, 3] = 0
    block = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, "object0")
    if block >= 0:
        model.geom_matid[block] = -1
        model.geom_rgba[block] = _BLOCK_COLOR
