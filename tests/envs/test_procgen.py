"""Procgen: levels from seeds, and the script that plays the platformer."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import wmlearn.envs as envs
from wmlearn.envs.experts import (
    PlatformerPolicy,
    make_policy,
)

needs_procgen = pytest.mark.skipif(
    importlib.util.find_spec("envpool") is None, reason="envpool is not installed"
)


@needs_procgen
def test_every_procgen_seed_is_a_level_of_its_own_and_ends_show_their_own_picture():
    env = envs.make("procgen/coinrun")
    first = [env.reset(seed=seed) for seed in (0, 1, 0)]
    assert first[0][1]["level"] == first[2][1]["level"] != first[1][1]["level"]
    assert np.array_equal(first[0][0], first[2][0])
    act, over, before = make_policy("expert", env), False, first[2][0]
    while not over:
        frame, reward, terminated, truncated, _ = env.step(act(before))
        over, before = terminated or truncated, frame
    assert not np.array_equal(frame, first[0][0]), "the next level's first frame was shown"
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)
    fixed = envs.make("procgen/coinrun", level=7)
    assert np.array_equal(fixed.reset(seed=0)[0], fixed.reset(seed=1)[0])


@needs_procgen
def test_the_platformer_s_player_runs_right_and_taps_its_jumps():
    env = envs.make("procgen/coinrun")
    act, names = make_policy("mixed", env, hold=7.0), env.action_names
    pressed = []
    for seed in range(4):
        frame, _ = env.reset(seed=seed)
        act.reset(seed)
        for _ in range(40):
            pressed.append(names[act(frame)])
            frame, _, terminated, truncated, _ = env.step(names.index(pressed[-1]))
            if terminated or truncated:
                break
    right, left = (sum(way in name for name in pressed) for way in ("right", "left"))
    jumps = ["jump" in name for name in pressed]
    assert right > left > 0 and any(jumps)
    assert not any(a and b for a, b in zip(jumps, jumps[1:], strict=False))


def test_the_platformer_s_player_sets_off_either_way_but_does_not_run_on_against_a_wall():
    names = ["noop", "left", "right", "jump", "left_jump", "right_jump"]
    env = SimpleNamespace(unwrapped=SimpleNamespace(action_names=names))
    act, wall = PlatformerPolicy(env, hold=7.0), np.zeros((8, 8, 3), np.uint8)
    pressed = [names[act(wall)] for _ in range(500)]  # where nothing moves, whatever is pressed
    pairs = set(zip(pressed, pressed[1:], strict=False))
    assert {("noop", "left"), ("noop", "right")} <= pairs
    assert ("left", "left") not in pairs and ("left", "right") in pairs


def test_procgen_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(ModuleNotFoundError, match="libqt5gui5"):
        envs.make("procgen/coinrun")
