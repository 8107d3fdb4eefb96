"""The reader picks a picture, the arm goes there: ``pick_goal(world, clips)``.

A world of features draws nothing. What it expects is therefore shown as the recorded frame whose
features are nearest (``NearestFrame``): a way to look at features, and no part of the model.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wmlearn.agents.cem import CEMConfig, feature_distance, plan
from wmlearn.data.clip import Clip
from wmlearn.world import FeatureWorld, Step, World

if TYPE_CHECKING:
    from wmlearn.chapters.ch12_vjepa2_ac.goal_widget import GoalButtons, GoalPicker

# Meters, x, y, z: over the table, as the camera sees it from left to right, low and high.
PLACES = (
    (1.22, 0.60, 0.47), (1.22, 0.90, 0.47), (1.45, 0.75, 0.45),
    (1.25, 0.62, 0.65), (1.25, 0.90, 0.65), (1.40, 0.75, 0.62),
)  # fmt: skip
_failed: list[str] = []  # why the simulator does not start in this process


class NearestFrame:
    """Shows what a feature means: the recorded frame whose features are nearest (mean L1).

    It is only for looking at. Nothing is decoded: it can show no picture that was not recorded.

    Args:
        world: of features.
        clips: real clips; at most ``most`` of their frames are kept.
        most: how many.
    """

    def __init__(self, world: FeatureWorld, clips: Clip, most: int = 600) -> None:
        frames = clips.frames.flatten(0, 1)
        keep = torch.linspace(0, len(frames) - 1, min(most, len(frames))).long()
        self.frames = frames[keep]
        with torch.inference_mode():
            parts = [world.encode(part[:, None])[:, 0] for part in self.frames.split(64)]
        self.features = torch.cat(parts)

    def __call__(self, features: Tensor) -> Tensor:
        """Features ``[B, N, D]`` -> uint8 frames ``[B, C, H, W]``."""
        return self.frames[self.index(features).cpu()]

    @torch.inference_mode()
    def index(self, features: Tensor) -> Tensor:
        """Which of the kept frames is nearest to each of ``[B, N, D]``: int64 ``[B]``."""
        return torch.cdist(features.flatten(1), self.features.flatten(1), p=1).argmin(1)


@dataclass(frozen=True)
class GoalView:
    """What there is to see after an action.

    Attributes:
        step: 0 before the first action.
        real: uint8 ``[H, W, C]``, what the camera sees; ``None`` without a simulator.
        imagined: uint8 ``[H, W, C]``, the recorded frame nearest to the features that the world
            expected after this action.
        centimeters: from the gripper to the place that the goal image shows. Without a simulator
            the gripper's position is the world's own estimate.
        seconds: duration of the search for the action.
        over: no action follows.
    """

    step: int
    real: NDArray[np.uint8] | None
    imagined: NDArray[np.uint8]
    centimeters: float
    seconds: float
    over: bool


class GoalSession:
    """An arm, a world to plan in, and pictures of where the arm may be sent.

    Args:
        world: of features, e.g. of ``vjepa2-ac-fetch``.
        clips: real clips with states. They show what the world expects; and where there is no
            simulator, one of them gives the start and the goals.
        env_id: the arm, ``fetch/reach`` or ``fetch/push``; ``None`` for no simulator.
        steps: actions for each goal.
        config: numbers of the search.
        seed: of the episode and the search.
    """

    def __init__(
        self,
        world: FeatureWorld,
        clips: Clip,
        env_id: str | None = "fetch/reach",
        steps: int = 8,
        config: CEMConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.world, self.steps, self.config = world, steps, config or CEMConfig()
        self.clips, self.note = clips.require("state"), ""
        self.show = NearestFrame(world, clips)
        self._generator = torch.Generator().manual_seed(seed)
        self.env = None if env_id is None else self._simulator(env_id)
        if self.env is not None:
            self._begin_real(seed)
        else:
            self._begin_recorded()
        self.view = self._look(0, self._features(), 0.0)

    def pursue(self, goal: int) -> Iterator[GoalView]:
        """Sends the arm to goal image ``goal``, from where it is; what is seen after each action.

        Raises:
            IndexError: there is no such goal.
        """
        if not 0 <= goal < len(self.images):
            raise IndexError(f"There are goals 0 to {len(self.images) - 1}; got {goal}.")
        self._goal = goal
        energy = feature_distance(self.world.encode(self.images[goal][None, None])[:, -1])
        rest = None
        for step in range(1, self.steps + 1):
            begin = time.perf_counter()
            found = plan(self._start, self._seen, energy, self.config, self._generator, rest)
            took, rest = time.perf_counter() - begin, found.actions[1:]
            expected = self._act(found.actions[0])
            self.view = self._look(step, expected.features, took)
            yield self.view

    def close(self) -> None:
        if self.env is not None:
            self.env.close()

    # --- the simulator, or a recording ---------------------------------------------------------

    def _simulator(self, env_id: str):
        from wmlearn.envs import make

        if not _failed:  # some drivers end the whole process at a second attempt
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # its messages about other robots
                    env = make(env_id, size=self.world.frame_shape[-1], max_steps=10**9)
                    env.reset(seed=0)
                return env
            except Exception as error:  # whatever a missing package or driver raises
                _failed.append(str(error).strip().split("\n")[0] or type(error).__name__)
        self.note = (
            "The robot's simulator does not start here, so the arm moves in the learned world "
            f"only, from a recorded frame to recorded goals ({_failed[0]})."
        )
        return None

    def _begin_real(self, seed: int) -> None:
        frame, info = self.env.reset(seed=seed)
        shots = [self.env.picture(place) for place in PLACES]
        self.images = _images(np.stack([image for image, _ in shots]))
        self.places = torch.tensor(np.stack([state[:3] for _, state in shots]))
        self._goal, self._start = 0, self.world
        self._see(frame, info)

    def _begin_recorded(self) -> None:
        travel = self.clips.state[..., :3].diff(dim=1).norm(dim=-1).sum(1)
        clip = self.clips[travel.argmax()[None]]
        times = torch.linspace(0, clip.length - 1, 5).long()[1:]
        self.images, self.places = clip.frames[0, times], clip.state[0, times, :3]
        self._goal, self._seen = 0, clip.time(0, 1)
        self._start = _Imagined(self.world, self.world.reset(self._seen))

    def _see(self, frame: NDArray[np.uint8], info: dict) -> None:
        self._real, state = frame, torch.tensor(info["state"])[None, None]
        self._seen = Clip(_images(frame[None])[None], state=state)

    def _act(self, action: Tensor) -> Step:
        """Does it, and returns what the world expected of it."""
        with torch.inference_mode():
            state, expected = self.world.step(self._start.reset(self._seen), action[None])
        if self.env is None:
            self._start = _Imagined(self.world, state)
        else:
            frame, _, _, _, info = self.env.step(action.numpy())
            self._see(frame, info)
        return expected

    def _features(self) -> Tensor:
        return self.world.encode(self._seen.frames)[:, -1]

    def _look(self, step: int, features: Tensor, seconds: float) -> GoalView:
        imagined = self.show(features)[0].permute(1, 2, 0).numpy()
        arm = self._seen.state[0, 0] if self.env is not None else self._start.state.arm[0]
        meters = (arm[:3] - self.places[self._goal]).norm()
        real = self._real if self.env is not None else None
        return GoalView(step, real, imagined, 100 * float(meters), seconds, step >= self.steps)


class _Imagined(World):
    """A world that goes on from a state of its own, whatever it is shown."""

    def __init__(self, world: World, state: Any) -> None:
        self.action_space, self.state, self._world = world.action_space, state, world

    def reset(self, context: Clip) -> Any:
        return self.state

    def step(self, state: Any, action: Tensor, generator=None) -> tuple[Any, Step]:
        return self._world.step(state, action, generator)


def pick_goal(
    world: FeatureWorld,
    clips: Clip,
    env_id: str | None = "fetch/reach",
    *,
    steps: int = 8,
    config: CEMConfig | None = None,
    seed: int = 0,
    width: int = 224,
    buttons: bool = False,
) -> GoalPicker | GoalButtons:
    """A widget: click on a goal image, or tab to it and press Enter, and watch the arm plan.

    The arm acts while the kernel waits; a goal takes a few seconds.

    Args:
        world, clips, env_id, steps, config, seed: as for ``GoalSession``.
        width: of each large picture, in CSS pixels.
        buttons: plain buttons and an image, for notebook programs without custom widgets.

    Raises:
        ImportError: the widgets are not installed.
    """
    from wmlearn.player import require_widgets

    require_widgets("ipywidgets", "PIL", *([] if buttons else ["anywidget"]))
    session = GoalSession(world, clips, env_id, steps, config, seed)
    from wmlearn.chapters.ch12_vjepa2_ac import goal_widget

    chosen = goal_widget.GoalButtons if buttons else goal_widget.GoalPicker
    return chosen(session, width)


def _images(frames: NDArray[np.uint8]) -> Tensor:
    """uint8 [N, H, W, C] -> [N, C, H, W]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
