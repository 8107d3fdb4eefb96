"""Who drives the car: an expert that knows the track, one with noise, and one that courts hazard.

An expert's data never show the grass, so a world that learned from them alone cannot say what
leaving the road costs. Here a third of the episodes is the expert's, a third is the expert's with
noise (half of these with a keyboard's all-or-nothing actions), and a third leaves the road and
spins on purpose.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
from numpy.typing import NDArray

KINDS = ("expert", "noise", "hazard")


def expert(aggression: float = 1.0):
    """The scripted expert of one episode, ``act(env) -> action``.

    It steers at a point of the center line ahead and drives as fast as the coming turn allows.

    Args:
        aggression: factor of the speed that it aims at; 1 is what laps fastest and safely.
    """

    def act(env) -> NDArray[np.float32]:
        speed = env.state["speed"]
        right, ahead = env.road_ahead(8.0 + 0.12 * max(speed, 0.0))
        error = math.atan2(right, ahead)  # radians to the right
        if ahead < 0:  # it has turned round
            error = math.copysign(1.2, right)
        steer = np.clip(2.2 * error, -1, 1)
        turn = max(abs(env.turn_ahead(a, a + 12.0)) for a in (0.0, 8.0, 16.0, 26.0))
        aim = aggression * np.clip(70.0 - 62.0 * turn, 30.0, 68.0)
        if abs(env.state["lateral"]) > 0.6:
            aim = min(aim, 18.0)  # back to the road, slowly
        gas = np.clip(0.08 * (aim - speed), 0, 1) * (1 - 0.7 * abs(steer))
        brake = np.clip(0.03 * (speed - aim - 4), 0, 0.6)
        return np.array([steer, gas, brake], np.float32)

    return act


class Driver:
    """One of ``KINDS`` for a whole episode, each as often; which one the seed decides.

    Args:
        env: ``driving/car-racing``.
        seed: of the first episode; ``reset(seed)`` starts another.
        kind: one of ``KINDS`` for all episodes; ``None`` for all in turn.
    """

    def __init__(self, env: gymnasium.Env, seed: int = 0, kind: str | None = None) -> None:
        if kind is not None and kind not in KINDS:
            raise ValueError(f"There is no driver {kind!r}; choose one of {', '.join(KINDS)}.")
        self._env, self._always = env.unwrapped, kind
        self.reset(seed)

    def reset(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 3])
        self.kind = self._always or KINDS[int(self._rng.integers(len(KINDS)))]
        self._expert = expert(self._rng.uniform(0.5, 1.05) if self.kind != "expert" else 1.0)
        self._keyboard = self.kind == "noise" and self._rng.random() < 0.5
        self._noise, self._left, self._stunt = np.zeros(3), 0, None
        self._spread = self._rng.uniform(0.1, 0.5)

    def __call__(self, frame: np.ndarray | None = None) -> NDArray[np.float32]:
        wish = self._expert(self._env)
        if self.kind == "noise":
            return self._noisy(wish)
        if self.kind == "hazard":
            return self._hazardous(wish)
        return wish

    def _noisy(self, wish: NDArray) -> NDArray[np.float32]:
        """Noise that lasts (an Ornstein-Uhlenbeck process), or keys that are down or up."""
        self._noise = 0.9 * self._noise + self._spread * self._rng.normal(size=3)
        if not self._keyboard:
            return _bounded(wish + self._noise * (1.0, 0.5, 0.3))
        if self._left > 0:  # a key is held for a few frames
            self._left -= 1
            return self._held
        self._left = int(self._rng.integers(3, 8))
        steer = wish[0] + 0.5 * self._noise[0]
        steer = float(np.sign(steer)) if abs(steer) > self._rng.uniform(0.1, 0.6) else 0.0
        gas = float(wish[1] > self._rng.uniform(0.05, 0.6))
        brake = float(wish[2] > self._rng.uniform(0.05, 0.5))
        self._held = np.array([steer, gas, brake], np.float32)
        return self._held

    def _hazardous(self, wish: NDArray) -> NDArray[np.float32]:
        """Stretches of the expert, of stunts, of waiting; a stunt holds one action."""
        if self._left == 0:
            self._left = int(self._rng.integers(10, 60))
            self._stunt = None
            if self._rng.random() < 0.55:
                side = self._rng.choice([-1.0, 1.0])
                self._stunt = [
                    (side * self._rng.uniform(0.3, 1), self._rng.uniform(0.3, 1), 0.0),  # swerve
                    (side, 1.0, 0.0),  # spin
                    (side, 0.0, self._rng.uniform(0.3, 1)),  # brake in the turn
                    (0.0, 1.0, 0.0),  # straight on
                    (0.0, 0.0, 0.0),  # hands off
                    (0.0, 0.0, 1.0),  # stop
                ][int(self._rng.choice(6, p=[0.3, 0.2, 0.1, 0.2, 0.12, 0.08]))]
                self._left = int(self._rng.integers(8, 35))
        self._left -= 1
        return wish if self._stunt is None else _bounded(np.array(self._stunt))


def _bounded(action: NDArray) -> NDArray[np.float32]:
    return np.clip(action, (-1, 0, 0), (1, 1, 1)).astype(np.float32)
