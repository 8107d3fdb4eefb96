"""The real arm and its dream: a search that tries motions inside, and what it does outside.

Legend: N ways, T motions, c x h x w a latent.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wmlearn.chapters.ch07_unisim import real
from wmlearn.chapters.ch07_unisim.control import told
from wmlearn.envs import make
from wmlearn.metrics import mean_estimate
from wmlearn.systems.unisim.system import UniSim
from wmlearn.systems.unisim.world import UniSimWorld

SEED = 20_000  # of real rooms and episodes


class Arm:
    """The real arm on its way to a goal picture, seen through the simulator's autoencoder.

    Args:
        env: ``fetch/reach``.
        model: whose autoencoder.
        seed: of its episode.
    """

    def __init__(self, env, model: UniSim, seed: int) -> None:
        self.env, self.model = env, model
        frame, _ = env.reset(seed=seed)
        picture, _ = env.unwrapped.picture(env.unwrapped.goal)
        self.frame, self.goal = frame, real.latent_of(model, picture)

    @property
    def latent(self) -> Tensor:
        """``[1, c, h, w]``, of what the camera sees."""
        return real.latent_of(self.model, self.frame)

    def move(self, motion: np.ndarray) -> None:
        """One motion, in -1..1."""
        self.frame, *_ = self.env.step(np.asarray(motion, np.float32))

    @property
    def centimeters(self) -> float:
        """From the gripper to the goal."""
        arm = self.env.unwrapped
        return 100 * float(np.linalg.norm(arm.gripper - arm.goal))


def apart(latent: Tensor, goal: Tensor) -> Tensor:
    """The mean squared difference of latents, ``[B]``: how far a picture is from the goal's."""
    return (latent - goal).square().mean((1, 2, 3))


@torch.inference_mode()
def tried_ways(world: UniSimWorld, arm: Arm, ways: Tensor, seed: int) -> Tensor:
    """How far from the goal each way ends in the dream, ``[N]``; ways are ``[N, T, 3]``."""
    generator = torch.Generator().manual_seed(seed)
    state = world.begin(arm.latent.expand(len(ways), -1, -1, -1))
    for t in range(ways.shape[1]):
        state = world.imagine(state, ways[:, t], generator)
    return apart(state.latent, arm.goal)


def exploited(model: UniSim, starts: int = 16, most: int = 64, length: int = 5) -> dict:
    """Best of N random ways in a dream, and where the same motions lead the real arm.

    How far from the goal's picture, in the latents: by the dream that chose, by a second dream with
    other noise, and in truth; and the real centimeters. Means over starts.
    """
    world, env = model.world({"domain": "fetch", "num_steps": 1}), make("fetch/reach")
    numbers = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256) if n <= most]
    names = ("the dream that chose", "a second dream", "the real arm", "centimeters")
    said = {name: np.zeros((starts, len(numbers))) for name in names}
    for i in range(starts):
        generator = torch.Generator().manual_seed(i)
        ways = 2 * torch.rand(most, 1, 3, generator=generator) - 1
        ways = ways.expand(-1, length, -1)
        arm = Arm(env, model, SEED + i)
        chose, again = (tried_ways(world, arm, ways, seed) for seed in (i, 1000 + i))
        for j, n in enumerate(numbers):
            best = int(chose[:n].argmin())
            arm = Arm(env, model, SEED + i)
            for motion in ways[best].numpy():
                arm.move(motion)
            truth = float(apart(arm.latent, arm.goal))
            values = (float(chose[best]), float(again[best]), truth, arm.centimeters)
            for name, value in zip(names, values, strict=True):
                said[name][i, j] = value
    env.close()
    columns = {k: [told(mean_estimate(torch.from_numpy(c))) for c in v.T] for k, v in said.items()}
    return {"candidates": numbers, **columns}


def arms(model: UniSim, episodes: int = 40, steps: int = 10, tried: int = 24) -> dict:
    """An arm that tries motions in the dream before each real one, beside one that moves at random.

    Nothing of the real world teaches it: at each step it dreams ``tried`` motions, held for two
    steps, and does the one that ends nearest to the goal's picture. "Inside" it is left in the
    dream for as many steps.
    """
    world, env = model.world({"domain": "fetch", "num_steps": 1}), make("fetch/reach")
    result = {}
    for name in ("random motions", "search in the dream"):
        rows: dict[str, list[float]] = {}
        for i in range(episodes):
            row = _arm_once(world, Arm(env, model, SEED + 500 + i), name, steps, tried, i)
            for key, value in row.items():
                rows.setdefault(key, []).append(value)
        result[name] = {
            k: told(mean_estimate(torch.tensor(v, dtype=torch.float64))) for k, v in rows.items()
        }
    env.close()
    return result


def _arm_once(
    world: UniSimWorld, arm: Arm, name: str, steps: int, tried: int, seed: int
) -> dict[str, float]:
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    begin, begun = float(apart(arm.latent, arm.goal)), arm.centimeters
    dreamed = world.begin(arm.latent)
    for _ in range(steps):
        for side in ("inside", "outside"):
            motion = rng.uniform(-1, 1, 3).astype(np.float32)
            if name != "random motions":
                ways = torch.from_numpy(rng.uniform(-1, 1, (tried, 1, 3)).astype(np.float32))
                here = dreamed.latent if side == "inside" else arm.latent
                state = world.begin(here.expand(tried, -1, -1, -1))
                for _held in range(2):
                    state = world.imagine(state, ways[:, 0], generator)
                motion = ways[int(apart(state.latent, arm.goal).argmin()), 0].numpy()
            if side == "inside":
                dreamed = world.imagine(dreamed, torch.from_numpy(motion)[None], generator)
            else:
                arm.move(motion)
    return {
        "at the start": begin,
        "inside": float(apart(dreamed.latent, arm.goal)),
        "outside": float(apart(arm.latent, arm.goal)),
        "centimeters at the start": begun,
        "centimeters": arm.centimeters,
        "within 5 cm": float(arm.centimeters < 5),
    }
