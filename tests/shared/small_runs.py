"""Small recordings, made up, on which every system of the registry trains within seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from wmlearn.data.episodes import Episode, EpisodeWriter
from wmlearn.systems import TRAINABLE

NAMES = list(TRAINABLE)
IN_A_WORLD = ("actor-critic", "searched-policy")  # learn in a trained world, not from data alone
EPISODES, STEPS = 10, 19


def write_data(name: str, folder: Path, seed: int = 0) -> str:
    """Episodes of the kind that a system's smoke tier is for; a white square moves about."""
    run, _ = TRAINABLE[name].load("recipe").preset("smoke")
    rng, side = np.random.default_rng(seed), run.image_size
    space, known = Discrete(4), {}
    if run.env == "clips/metaworld":
        space = None
    elif run.env == "scenes/one":
        space, known = None, {"captions": ["a white square moves right"] * EPISODES}
    elif run.env == "clips/fetch":
        space = Box(-1.0, 1.0, (3,), np.float32)
        known = {"state_names": ["gripper_x", "gripper_y", "gripper_z"]}
    elif run.env == "driving/car-racing":
        space = Box(-1.0, 1.0, (3,), np.float32)
    writer = EpisodeWriter(folder, space, (3, side, side), env="made/up", seed=seed, **known)
    for _ in range(EPISODES):
        moves = rng.uniform(-1, 1, (STEPS, 3)).astype(np.float32)
        places = np.concatenate([rng.uniform(0.3, 0.7, (1, 3)), moves * 0.06]).cumsum(0)
        frames = rng.integers(0, 30, (STEPS + 1, 3, side, side), dtype=np.uint8)
        for frame, (x, y, _) in zip(
            frames, (places.clip(0.1, 0.9) * side).astype(int), strict=True
        ):
            frame[:, y - 2 : y + 2, x - 2 : x + 2] = 250
        steps: dict[str, Any] = {}
        if space is not None:
            ended = np.arange(STEPS) == STEPS - 1
            steps = {
                "actions": moves if isinstance(space, Box) else rng.integers(4, size=STEPS),
                "rewards": rng.choice([-1.0, 0.0, 10.0], STEPS).astype(np.float32),
                "terminated": ended,
                "truncated": np.zeros(STEPS, bool),
            }
        if "state_names" in known:
            steps["state"] = places.astype(np.float32)
        writer.write(Episode(frames, **steps))
    return str(folder)


def small_world(folder: Path) -> str:
    """An untrained world of the size that the policies' smoke tier plays in."""
    from wmlearn import hub
    from wmlearn.systems.diamond.recipe import SMOKE
    from wmlearn.systems.diamond.system import Diamond

    config = replace(SMOKE, reward_end=replace(SMOKE.reward_end, image_size=32))
    return str(hub.save(folder, Diamond(config), "diamond", {}))
