"""Policies for recording: random, scripted experts (ViZDoom, CoinRun, Fetch), and mixtures.

    python -m wmlearn.envs.experts doom/basic expert --episodes 100

prints the mean return with its 95% interval; ``README.md`` beside this file holds the table.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from wmlearn.envs import drivers, make
from wmlearn.envs.fetch import STEP

POLICIES = ("random", "expert", "mixed")
PUSH_HEIGHT = 0.43  # meters: the height at which the gripper pushes a block of the Fetch task
PUSH_LIFT = 0.09  # meters above that, on the way to the block's far side
PUSH_BEHIND = 0.075  # meters between block and gripper, before a push


@runtime_checkable
class EpisodePolicy(Protocol):
    """A function of the frame with a reset for each episode."""

    def reset(self, seed: int) -> None: ...

    def __call__(self, frame: np.ndarray) -> int | np.ndarray: ...


def begin_episode(act: Callable, seed: int) -> None:
    """Tells ``act`` that an episode begins, if it is an :class:`EpisodePolicy`."""
    if isinstance(act, EpisodePolicy):
        act.reset(seed)


class RandomPolicy:
    """Uniform over the actions; each drawn action is held for a random number of steps.

    Holding makes play cover the room: with a fresh draw at every step, left and right cancel.

    Args:
        env: its ``action_space`` is sampled.
        seed: of the first episode; ``reset(seed)`` starts another.
        hold: mean number of steps that an action lasts (geometric); 1 is a fresh draw every step.
    """

    def __init__(self, env: gymnasium.Env, seed: int = 0, hold: float = 3.0) -> None:
        if hold < 1:
            raise ValueError(f"hold is the mean number of steps, at least 1; got {hold}.")
        self._space, self._hold = env.action_space, hold
        self.reset(seed)

    def reset(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._left = 0

    def __call__(self, frame: np.ndarray | None = None) -> int | np.ndarray:
        if self._left == 0:
            self._left = int(self._rng.geometric(1 / self._hold))
            self._action = self._draw()
        self._left -= 1
        return self._action

    def _draw(self) -> int | np.ndarray:
        if isinstance(self._space, Box):
            low = np.maximum(self._space.low, -1e3)
            high = np.minimum(self._space.high, 1e3)
            return self._rng.uniform(low, high).astype(np.float32)
        return int(self._space.start + self._rng.integers(self._space.n))


class ExpertPolicy:
    """A scripted expert; it reads what the simulator knows (``labels()``, places), not pixels."""

    def __init__(self, env: gymnasium.Env, seed: int = 0) -> None:
        self._env = env.unwrapped
        env_id = getattr(self._env, "env_id", type(self._env).__name__)
        if hasattr(self._env, "expert"):  # a Meta-World task brings its own
            self._make_act = self._env.expert
        elif env_id in EXPERTS:
            self._make_act = EXPERTS[env_id]
        else:
            raise ValueError(
                f"There is no scripted expert for {env_id} (only for {', '.join(EXPERTS)}): "
                "use policy='random' or a function of your own."
            )
        self.reset(seed)

    def reset(self, seed: int) -> None:
        self._act = self._make_act()

    def __call__(self, frame: np.ndarray | None = None) -> int:
        return self._act(self._env)


class MixedPolicy:
    """Stretches of expert and of random play; the expert's share is drawn per episode from [0, 1].

    So a recording holds good play, bad play, and recoveries from bad play. A stretch lasts
    ``hold`` steps on average (geometric).
    """

    def __init__(self, env: gymnasium.Env, seed: int = 0, hold: float = 3.0) -> None:
        self._expert = ExpertPolicy(env)
        self._random = RandomPolicy(env, hold=hold)
        self._hold = hold
        self.reset(seed)

    def reset(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._share = self._rng.random()
        self._left = 0
        self._expert.reset(seed)
        self._random.reset(seed)

    def __call__(self, frame: np.ndarray | None = None) -> int:
        if self._left == 0:
            self._left = int(self._rng.geometric(1 / self._hold))
            self._use_expert = self._rng.random() < self._share
        self._left -= 1
        chosen = self._expert(frame)  # always asked, because it may remember what it saw
        return chosen if self._use_expert else self._random(frame)


class PlatformerPolicy:
    """Play as in videos of platform games: directions are held, jumps are taps.

    A direction is held for a random number of steps (geometric): right 45 %, left 35 %, none 20 %.
    A jump is tapped for one step, at the earliest ``FLIGHT`` steps after the last one. It does not
    run against a wall for long: where the picture stands still although a direction is held, it
    jumps on the right, turns on the left. (A hero who stands may set off either way.)

    Args:
        env: a Procgen platformer.
        seed: of the first episode; ``reset(seed)`` starts another.
        hold: mean number of steps that a direction lasts.
    """

    FLIGHT = 6
    _TAP = 0.12  # probability of a jump where one may begin

    def __init__(self, env: gymnasium.Env, seed: int = 0, hold: float = 3.0) -> None:
        self._names, self._hold = env.unwrapped.action_names, hold
        self.reset(seed)

    def reset(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 2])
        self._left, self._way, self._pressed, self._before = 0, "", "", None
        self._since_jump = self.FLIGHT

    def __call__(self, frame: np.ndarray) -> int:
        if self._left == 0:
            self._hold_way(str(self._rng.choice(["right", "left", ""], p=[0.45, 0.35, 0.2])))
        stopped = self._way and self._way == self._pressed and self._stands_still(frame)
        wants = self._rng.random() < self._TAP or (stopped and self._way == "right")
        if stopped and self._way == "left":
            self._hold_way("right")
        self._since_jump += 1
        jumps = wants and self._since_jump > self.FLIGHT
        if jumps:
            self._since_jump = 0
        self._left -= 1
        self._pressed, self._before = self._way, frame
        name = "_".join(filter(None, (self._way, "jump" if jumps else "")))
        return self._names.index(name or "noop")

    def _hold_way(self, way: str) -> None:
        self._way, self._left = way, int(self._rng.geometric(1 / self._hold))

    def _stands_still(self, frame: np.ndarray) -> bool:
        """Whether hardly more than the hero's own picture changed since the last step."""
        if self._before is None:
            return False
        return np.abs(frame.astype(np.int16) - self._before).mean() < 1.0


def make_policy(name: str, env: gymnasium.Env, seed: int = 0, hold: float = 3.0) -> EpisodePolicy:
    """A policy by name: called with a frame it gives an action; ``reset(seed)`` starts an episode.

    Args:
        name: ``random``, ``expert`` or ``mixed`` (the latter two need ``make(..., labels=True)``
            in ViZDoom; in Procgen, ``mixed`` is :class:`PlatformerPolicy`, in CarRacing
            :class:`~wmlearn.envs.drivers.Driver`).
        env: the environment that is played.
        seed: of the first episode.
        hold: mean number of steps that a random action is held (see ``RandomPolicy``).
    """
    if name == "random":
        return RandomPolicy(env, seed, hold)
    if name == "expert":
        return ExpertPolicy(env, seed)
    if name == "mixed" and getattr(env.unwrapped, "env_id", "").startswith("procgen/"):
        return PlatformerPolicy(env, seed, hold)
    if name == "mixed" and getattr(env.unwrapped, "env_id", "") == "driving/car-racing":
        return drivers.Driver(env, seed)
    if name == "mixed":
        return MixedPolicy(env, seed, hold)
    raise ValueError(f"There is no policy {name!r}; choose one of {', '.join(POLICIES)}.")


def policy_kwargs(env_id: str, policy: str) -> dict[str, bool]:
    """What ``make`` must be given for this policy: the experts need the labels."""
    return (
        {"labels": True} if policy in ("expert", "mixed") and env_id in SCRIPTS_WITH_LABELS else {}
    )


# --- the scripts -------------------------------------------------------------------------------


def _basic() -> Callable:
    """One monster on the far wall: walk until it is straight ahead, then shoot."""
    noop, left, right, attack = range(4)

    def act(env) -> int:
        for name, x, *_ in env.labels():
            if name == "Cacodemon":
                if abs(x - 0.5) < 0.05:
                    return attack
                return left if x < 0.5 else right
        return noop

    return act


def _defend_the_center() -> Callable:
    """Shoot the nearest monster when it is ahead; 26 bullets, so let the far ones come closer."""
    noop, left, right, attack = range(4)

    def act(env) -> int:
        monsters = [label for label in env.labels() if label[0] in ("MarineChainsawVzd", "Demon")]
        monsters = [label for label in monsters if label[4] > 0.12]
        if not monsters:
            return right
        _, x, _, width, _ = max(monsters, key=lambda label: label[4])
        if abs(x - 0.5) < width / 2.5:
            return attack
        return left if x < 0.5 else right

    return act


def _health_gathering() -> Callable:
    """Walk over the medkit that is soonest reached (distance and turn); look around for one."""
    noop, left, right, forward = range(4)

    def act(env) -> int:
        kits = [label for label in env.labels() if label[0] == "Medikit"]
        if not kits:
            return right

        def steps(label) -> float:
            _, x, y, _, height = label
            below_horizon = max(y + height / 2 - 0.5, 0.01)
            return 0.5 / below_horizon + 9 * abs(x - 0.5)

        _, x, *_ = min(kits, key=steps)
        if abs(x - 0.5) < 0.15:
            return forward
        return left if x < 0.5 else right

    return act


def _coinrun() -> Callable:
    """Run to the right, where the coin lies; jump over what stands ahead, and where no floor is.

    It reads the picture (64 x 64, the hero in the middle, black where nothing is).
    """

    def act(env) -> int:
        lit = env.render().max(-1) > 40
        blocked = lit[28:36, 36:42].any()
        pit = not lit[36:, 36:44].any()
        stands = lit[36:39, 29:35].any()
        return env.action_names.index("right_jump" if stands and (blocked or pit) else "right")

    return act


def _reach() -> Callable:
    """Straight to the goal."""
    return lambda env: _towards(env, env.goal)


def _push() -> Callable:
    """Over the block's far side, down behind it, and through it to the goal."""

    def act(env) -> np.ndarray:
        gripper, block, way = env.gripper, env.block, (env.goal - env.block)[:2]
        distance = np.linalg.norm(way)
        if distance < 0.015:
            return np.zeros(3, np.float32)
        way, offset = way / distance, (block - gripper)[:2]
        ahead, aside = way @ offset, abs(way[0] * offset[1] - way[1] * offset[0])
        low = gripper[2] < PUSH_HEIGHT + 0.02
        if low and aside < 0.025 and 0.0 < ahead < 0.11:
            stroke = gripper[:2] + way * min(distance + max(ahead - 0.04, 0), 0.06)
            stroke += (offset - way * ahead) * 0.5  # keep the block in the middle
            return _towards(env, [*stroke, PUSH_HEIGHT])
        behind = block[:2] - way * PUSH_BEHIND
        gap = np.linalg.norm(behind - gripper[:2])
        if gap > 0.03 and gripper[2] < PUSH_HEIGHT + 0.06 and np.linalg.norm(offset) < 0.12:
            return _towards(env, [*gripper[:2], PUSH_HEIGHT + PUSH_LIFT])
        return _towards(env, [*behind, PUSH_HEIGHT + (PUSH_LIFT if gap > 0.02 else 0)])

    return act


def _go_to() -> Callable:
    """Says the episode's own mission, at every step."""
    return lambda env: env.mission


def _towards(env, place) -> np.ndarray:
    return np.clip((np.asarray(place) - env.gripper) / STEP, -1, 1).astype(np.float32)


SCRIPTS_WITH_LABELS: dict[str, Callable[[], Callable]] = {
    "doom/basic": _basic,
    "doom/health-gathering": _health_gathering,
    "doom/defend-the-center": _defend_the_center,
    "doom/defend-the-center-hud": _defend_the_center,
    "doom/defend-the-center-hud-endless": _defend_the_center,
}
"""The scripts that read ViZDoom's list of objects."""

EXPERTS: dict[str, Callable[[], Callable]] = {
    **SCRIPTS_WITH_LABELS,
    "procgen/coinrun": _coinrun,
    "procgen/coinrun-hard": _coinrun,
    "fetch/reach": _reach,
    "fetch/push": _push,
    "driving/car-racing": drivers.expert,
    "babyai/go-to-local": _go_to,
}
"""Environment id -> function that makes the expert of one episode, ``act(env) -> action``."""


# --- measuring ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Returns:
    """Undiscounted returns of whole episodes, with the 95% interval of their mean."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float]:
        """mean +- 1.96 standard errors."""
        spread = float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan
        half = 1.96 * spread / math.sqrt(len(self.values))
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.mean:.1f} (95% {low:.1f} to {high:.1f}, {len(self.values)} episodes)"


def measure_returns(
    env_id: str, policy: str | Callable, episodes: int = 100, seed: int = 0, hold: float = 1.0
) -> Returns:
    """Plays whole episodes and gives their returns.

    Args:
        env_id: see ``wmlearn.envs.make``.
        policy: a name (see ``make_policy``) or any function of the frame uint8 ``[H, W, 3]``.
        episodes: how many; episode ``i`` is seeded with ``seed + i``.
        seed: of the first episode.
        hold: of random play; 1 is the usual uniform draw at every step.
    """
    named = isinstance(policy, str)
    env = make(env_id, **(policy_kwargs(env_id, policy) if named else {}))
    try:
        act = make_policy(policy, env, seed, hold) if named else policy
        returns = []
        for episode in range(episodes):
            frame, _ = env.reset(seed=seed + episode)
            begin_episode(act, seed + episode)
            total, over = 0.0, False
            while not over:
                frame, reward, terminated, truncated, _ = env.step(act(frame))
                total += reward
                over = terminated or truncated
            returns.append(total)
    finally:
        env.close()
    return Returns(tuple(returns))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Mean return of a policy in a real environment.")
    parser.add_argument("env_id")
    parser.add_argument("policy", choices=POLICIES)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hold", type=float, default=1.0)
    print(measure_returns(**vars(parser.parse_args())))
