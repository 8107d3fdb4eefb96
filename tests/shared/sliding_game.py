"""A game whose dynamics are known: a random picture that slides sideways; and worlds of it."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import torch

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.evaluation import EvaluationCard, evaluate
from wmlearn.world import Step, World

SIZE = 16
ACTIONS = gymnasium.spaces.Discrete(3)  # 0 stay, 1 left, 2 right
SHIFT = torch.tensor([0, -1, 1])


def background(seed: int) -> np.ndarray:
    """A random picture; the game is that it moves sideways, one pixel a step."""
    return np.random.default_rng(seed).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)


def shifted(frames: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    moves = zip(frames, SHIFT[actions].tolist(), strict=True)
    return torch.stack([frame.roll(by, -1) for frame, by in moves])


class Oracle(World):
    """The game itself."""

    context_frames, frame_shape, action_space = 2, (3, SIZE, SIZE), ACTIONS

    def reset(self, context: Clip) -> torch.Tensor:
        return context.frames[:, -1]

    def step(self, state, action, generator=None):
        frame = self.see(shifted(state, action), generator)
        reward = (action == 2).float()
        return frame, Step(frame, reward, torch.zeros(len(action), dtype=torch.bool))

    def see(self, frame, generator):
        return frame


class NoisyOracle(Oracle):
    """The game, seen through noise of 10 gray levels."""

    def see(self, frame, generator):
        noise = 10 * torch.randn(frame.shape, generator=generator)
        return (frame + noise).round().clamp(0, 255).to(torch.uint8)


class Deaf(Oracle):
    """Always stays, whatever the action."""

    def step(self, state, action, generator=None):
        return super().step(state, torch.zeros_like(action), generator)


class Game(gymnasium.Env):
    """Reward 1 for moving right, in episodes of 10 steps."""

    action_space = ACTIONS

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        self.frame, self.left = background(seed or 0), 10
        return self.frame.transpose(1, 2, 0), {}

    def step(self, action):
        self.frame = np.roll(self.frame, SHIFT[action], -1)
        self.left -= 1
        return self.frame.transpose(1, 2, 0), float(action == 2), self.left == 0, False, {}


def record(path: Path) -> EpisodeStore:
    """40 episodes of random play, the last 10 are to be held out; two of those are short."""
    writer = EpisodeWriter(path, ACTIONS, (3, SIZE, SIZE), env="my/game", policy="random")
    rng = np.random.default_rng(0)
    for episode in range(40):
        steps = 6 if episode in (33, 36) else 20
        actions = rng.integers(0, 3, steps)
        frames = [background(episode)]
        for action in actions:
            frames.append(np.roll(frames[-1], SHIFT[action], -1))
        over = np.arange(steps) == steps - 1
        writer.write(
            Episode(
                np.stack(frames), actions, np.zeros(steps, np.float32), over, np.zeros_like(over)
            )
        )
    return EpisodeStore(path)


def judge(world, store, **options) -> EvaluationCard:
    settings = {"horizons": (1, 8), "clips": 12, "seeds": (0, 1), "holdout": 0.25}
    return evaluate(world, store, **{**settings, "probe_steps": 0, "cost": False, **options})
