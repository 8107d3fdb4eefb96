"""What is said of a recording before time is spent on it."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from wmlearn.data.checkup import checkup
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter

THREE = Discrete(3)


def record(path, count=20, steps=59, still=0.0, taken=(0, 1, 2), space=THREE):
    writer = EpisodeWriter(path, space, (3, 8, 8), action_names=["noop", "left", "right"])
    rng = np.random.default_rng(0)
    for _ in range(count):
        frames = rng.integers(0, 256, (steps + 1, 3, 8, 8), dtype=np.uint8)
        frames[: int(still * (steps + 1))] = frames[0]
        over = np.arange(steps) == steps - 1
        actions = rng.choice(taken, steps) if isinstance(space, Discrete) else None
        if isinstance(space, Box):
            actions = rng.uniform(-1, 1, (steps, 1)).astype(np.float32)
        rewards = np.zeros(steps, np.float32)
        if space is None:
            writer.write(Episode(frames))
        else:
            writer.write(Episode(frames, actions, rewards, over, np.zeros_like(over)))
    return EpisodeStore(path)


def test_a_good_recording_has_no_warning(tmp_path):
    found = checkup(record(tmp_path))
    assert found.warnings == ()
    assert "1,200 of [3, 8, 8]" in str(found) and "2 will be held out" in str(found)
    assert "left 3" in found.facts["actions"] and "0.0%" in found.facts["rewards"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"steps": 20}, "420 frames are few"),
        ({"count": 5, "steps": 300}, "5 episodes are few"),
        ({"count": 200, "steps": 6}, "100% of the episodes have fewer than 12 frames"),
        ({"still": 0.8}, "of the steps nothing moves"),
        ({"taken": (0, 1)}, "Hardly ever taken: right"),
    ],
)
def test_each_trouble_is_named(tmp_path, how, words):
    found = checkup(record(tmp_path, **how))
    assert len(found.warnings) == 1 and words in found.warnings[0]


@pytest.mark.parametrize("space", [None, Box(-1, 1, (1,), np.float32)])
def test_films_and_numbers_are_looked_through_too(tmp_path, space):
    found = checkup(record(tmp_path, space=space))
    assert found.warnings == () and ("none" if space is None else "Box") in found.facts["actions"]
