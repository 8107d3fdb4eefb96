"""Image goals: does the arm reach what the picture shows, in the simulator?

    python -m wmlearn.chapters.ch12_vjepa2_ac.goals vjepa2-ac-fetch push --goals 50

drives the arm with a planner in the learned world, and with random actions; success is counted at
the end of the episode, within 5 cm, as Gymnasium-Robotics does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.envs.experts import PUSH_BEHIND, PUSH_HEIGHT, PUSH_LIFT
from wmlearn.envs.fetch import CLOSE, FetchEnv
from wmlearn.metrics import Estimate, mean_estimate

TOUCHING = 0.045  # meters between block and gripper, during a push
APPROACH = (2, 4, 6, 8)  # actions by which each picture of the approach is the goal


@dataclass(frozen=True)
class ImageGoal:
    """What the arm is shown, one picture after another.

    Attributes:
        seed: of the episode.
        images: uint8 ``[G, C, H, W]``.
        until: the action (1, 2, ...) up to which each image is the goal, ``[G]``; V-JEPA 2 too
            changes from one sub-goal to the next after a fixed number of steps.
        place: meters ``[3]``, where gripper (reach) or block (push) is in the last image.
    """

    seed: int
    images: Tensor
    until: tuple[int, ...]
    place: tuple[float, float, float]

    def image(self, action: int) -> Tensor:
        """The goal of action 0, 1, ...: uint8 ``[1, C, H, W]``."""
        number = next((i for i, end in enumerate(self.until) if action < end), -1)
        return self.images[number][None]


@dataclass(frozen=True)
class GoalResults:
    """One entry for each goal.

    Attributes:
        success: bool ``[n]``, within 5 cm at the end.
        distance: float ``[n]``, meters at the end.
        start: float ``[n]``, meters at the beginning.
        seconds: mean wall time of an action's choice.
    """

    success: Tensor
    distance: Tensor
    start: Tensor
    seconds: float

    @property
    def rate(self) -> Estimate:
        """Share of the goals that were reached, with its 95% interval."""
        return mean_estimate(self.success.float())

    def __str__(self) -> str:
        return (
            f"{100 * self.rate.value:.0f}% [{100 * self.rate.low:.0f}, {100 * self.rate.high:.0f}] "
            f"of {len(self.success)} goals; {100 * self.start.mean():.1f} cm away at the start, "
            f"{100 * self.distance.mean():.1f} at the end (median "
            f"{100 * self.distance.median():.1f}); {self.seconds:.2f} s an action"
        )


def draw_goals(env: FetchEnv, count: int, seed: int = 0, strokes: int = 6) -> list[ImageGoal]:
    """Goals from the task's own distribution, as pictures of the simulator.

    A reach goal is one picture of the arm at the goal. A push goal is a short film: the gripper
    lifted, half way over, above the place behind the block, down there, and then ``strokes``
    pictures of gripper and block along the straight line to the goal. Neighboring pictures differ
    by 10 cm or so: the distance of patch features has no slope between places that lie farther
    apart. Goals that are reached already are drawn again.

    Args:
        env: the arm.
        count: how many.
        seed: the first episode's; further ones count up.
        strokes: pictures of a push, the last of which is the goal; 0 shows nothing but the goal.
    """
    goals: list[ImageGoal] = []
    while len(goals) < count:
        _, info = env.reset(seed=seed)
        seed += 1
        if not info["success"]:
            goals.append((_push_goal if env.has_block else _reach_goal)(env, seed - 1, strokes))
    return goals


def _reach_goal(env: FetchEnv, seed: int, strokes: int) -> ImageGoal:
    image, state = env.picture(env.goal)
    return ImageGoal(seed, _images([image]), (env.max_steps,), tuple(state[:3].tolist()))


def _push_goal(env: FetchEnv, seed: int, strokes: int) -> ImageGoal:
    block, here, way = env.block[:2], env.gripper[:2], (env.goal - env.block)[:2]
    distance = np.linalg.norm(way)
    way = way / distance
    behind = block - way * PUSH_BEHIND
    shots, until = [], []
    if strokes:  # up, half way over, over the place behind the block, and down
        for place in (here, (here + behind) / 2, behind):
            shots.append(([*place, PUSH_HEIGHT + PUSH_LIFT], block))
        shots.append(([*behind, PUSH_HEIGHT], block))
        until = list(APPROACH)
    strokes, begun = max(strokes, 1), until[-1] if until else 0
    for stroke in range(1, strokes + 1):
        place = block + way * distance * stroke / strokes
        shots.append(([*place - way * TOUCHING, PUSH_HEIGHT], place))
        until.append(begun + round((env.max_steps - begun) * stroke / strokes))
    seen = [env.picture(*shot) for shot in shots]
    place = tuple(seen[-1][1][3:].tolist())
    return ImageGoal(seed, _images([image for image, _ in seen]), tuple(until), place)


@runtime_checkable
class GoalActor(Protocol):
    """A policy for goal images with a reset for each episode."""

    def reset(self) -> None: ...

    def __call__(self, seen: Clip, goal: Tensor) -> np.ndarray: ...


def pursue(
    env: FetchEnv, goals: list[ImageGoal], act: Callable[[Clip, Tensor], np.ndarray]
) -> GoalResults:
    """Drives the arm to each goal.

    Args:
        env: the arm.
        goals: of ``draw_goals``.
        act: what was seen so far, and the goal image uint8 ``[1, C, H, W]`` -> action; a function
            or, like ``ImageGoalPlanner``, a :class:`GoalActor`.
    """
    starts, ends, seconds, chosen = [], [], 0.0, 0
    for goal in goals:
        frame, info = env.reset(seed=goal.seed)
        env.goal = goal.place
        if isinstance(act, GoalActor):
            act.reset()
        frames, actions, states, over = [frame], [], [info["state"]], False
        starts.append(_distance(states[-1], goal))
        while not over:
            begin = time.perf_counter()
            action = act(seen_so_far(frames, actions, states), goal.image(len(actions)))
            seconds, chosen = seconds + time.perf_counter() - begin, chosen + 1
            frame, _, _, over, info = env.step(action)
            frames.append(frame)
            actions.append(action)
            states.append(info["state"])
        ends.append(_distance(states[-1], goal))
    end = torch.tensor(ends)
    return GoalResults(end < CLOSE, end, torch.tensor(starts), seconds / chosen)


def seen_so_far(frames: list, actions: list, states: list) -> Clip:
    """One clip ``[1, T, C, H, W]`` of an episode's lists."""
    acted = torch.from_numpy(np.array(actions, np.float32))[None] if actions else None
    return Clip(
        _images(frames)[None],
        actions=acted,
        state=torch.from_numpy(np.array(states, np.float32))[None],
    )


class RandomActor:
    """A uniform action at every step: the baseline."""

    def __init__(self, env: FetchEnv, seed: int = 0) -> None:
        self._space, self._rng = env.action_space, np.random.default_rng(seed)

    def __call__(self, seen: Clip, goal: Tensor) -> np.ndarray:
        return self._rng.uniform(self._space.low, self._space.high).astype(np.float32)


def _images(frames: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def _distance(state: np.ndarray, goal: ImageGoal) -> float:
    return float(np.linalg.norm(state[-3:] - np.array(goal.place)))


def main() -> None:
    from wmlearn.agents.cem import CEMConfig, ImageGoalPlanner
    from wmlearn.hub import load_world

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a checkpoint's name or folder")
    parser.add_argument("task", choices=("reach", "push"))
    parser.add_argument("--goals", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--strokes", type=int, default=6)
    parser.add_argument("--horizon", type=int, default=CEMConfig.horizon)
    parser.add_argument("--samples", type=int, default=CEMConfig.samples)
    parser.add_argument("--elites", type=int, default=CEMConfig.elites)
    parser.add_argument("--iterations", type=int, default=CEMConfig.iterations)
    parser.add_argument("--decay", type=float, default=CEMConfig.decay)
    parser.add_argument("--last_step", action="store_true", help="pay at the last step only")
    args = parser.parse_args()
    names = ("horizon", "samples", "elites", "iterations", "decay")
    given = {name: getattr(args, name) for name in names}
    config = CEMConfig(**given, sum_over_steps=not args.last_step)
    env = FetchEnv(args.task)
    goals = draw_goals(env, args.goals, args.seed, args.strokes)
    planner = ImageGoalPlanner(load_world(args.world), config)
    for name, act in {"random": RandomActor(env), "planner": planner}.items():
        results = pursue(env, goals, act)
        print(f"{args.task}, {name}: {results}", flush=True)
    print(json.dumps({"distance_cm": [round(100 * d, 1) for d in results.distance.tolist()]}))


if __name__ == "__main__":
    main()
