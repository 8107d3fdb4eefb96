"""A tiny game and a tiny world for the player's tests: a bright square on a gray field.

Action 1 moves it to the left, 2 to the right, by ``STRIDE`` pixels; 0 and 3 leave it.
"""

from __future__ import annotations

import gymnasium
import numpy as np
import torch

from wmlearn.world import Step, World

SIZE, STRIDE = 64, 4
KEYS = {"ArrowLeft": 1, "ArrowRight": 2, "Space": 3}
NAMES = ["no-op", "left", "right", "shoot"]


class SquareEnv(gymnasium.Env):
    """The reward is the action's index; the episode ends after ``length`` steps, or never."""

    action_space = gymnasium.spaces.Discrete(4)
    observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
    noop = 0

    def __init__(self, length: int | None = None) -> None:
        self.length, self.closed = length, False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.frame = np.full((SIZE, SIZE, 3), 90, np.uint8)
        self.frame[24:40, 24:40] = (250, 240, 60)
        self.frame[50:54] = self.np_random.integers(60, 120)  # tells one episode from another
        return self.frame, {}

    def step(self, action):
        assert not self.closed
        self.time += 1
        self.frame = np.roll(self.frame, {1: -STRIDE, 2: STRIDE}.get(int(action), 0), axis=1)
        return self.frame, float(action), self.time == self.length, False, {}

    def close(self):
        self.closed = True


class SquareWorld(World):
    """Dreams the same game with a little noise; shooting ends it if ``ends`` is set."""

    action_space = gymnasium.spaces.Discrete(4)
    frame_shape = (3, SIZE, SIZE)
    context_frames = 3

    def __init__(self, noise: int = 8, ends: bool = False) -> None:
        self.noise, self.ends = noise, ends

    def reset(self, context):
        return context.frames[:, -1]

    def step(self, state, action, generator=None):
        shift = {1: -STRIDE, 2: STRIDE}.get(int(action[0]), 0)
        state = torch.roll(state, shift, dims=-1)
        noise = torch.randint(0, self.noise + 1, state.shape, generator=generator)
        frame = (state.int() - noise).clamp(0, 255).to(torch.uint8)
        done = (action == 3) & self.ends
        return state, Step(frame=frame, reward=action.float() / 2, terminated=done)


def column(frame: np.ndarray) -> int:
    """The first column of the bright square."""
    return int(np.argmax(frame[32, :, 0] > 180))
