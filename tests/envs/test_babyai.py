"""A room in which every action is a sentence: pictures, moves, shortest ways, and its end."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

pytest.importorskip("minigrid")

from wmlearn.data.record import record
from wmlearn.envs import make
from wmlearn.envs.babyai import MISSIONS, MOVES, SENTENCES, BabyAIEnv


@pytest.fixture
def env():
    made = make("babyai/go-to-local")
    made.reset(seed=0)
    return made


def number(sentence: str) -> int:
    return SENTENCES.index(sentence)


def test_it_is_an_environment_with_pictures(env):
    check_env(env, skip_render_check=True)
    frame, info = env.reset(seed=3)
    assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8
    assert info["state"].shape == (len(env.state_names),)
    assert env.action_space.n == len(SENTENCES) == len(MOVES) + len(MISSIONS) == 21
    again, _ = env.reset(seed=3)
    assert np.array_equal(frame, again)
    assert not np.array_equal(frame, env.reset(seed=4)[0])


def test_moves_do_what_they_say(env):
    for seed in range(20):
        _, info = env.reset(seed=seed)
        x, y, turn, _ = info["state"]
        *_, left = env.step(number("turn left"))
        assert left["state"][:3].tolist() == [x, y, (turn - 1) % 4]
        if not env._over:
            *_, right = env.step(number("turn right"))
            assert right["state"][:3].tolist() == [x, y, turn]


def test_a_mission_is_walked_on_a_shortest_way_and_then_nothing_moves(env):
    """Lengths of ways beside a search that knows nothing of the first: all rows of moves tried."""
    import itertools

    tried = 0
    for seed in range(40):
        env.reset(seed=seed)
        way = env.way(env.mission)
        if not 1 <= len(way) <= 4:
            continue
        tried += 1
        shorter = [m for n in range(1, len(way)) for m in itertools.product(range(3), repeat=n)]
        for moves in shorter:
            env.reset(seed=seed)
            for move in moves:
                *_, ended, _, _ = env.step(move)
                assert not ended, (seed, moves)
        env.reset(seed=seed)
        for left in range(len(way), 0, -1):
            assert len(env.way(env.mission)) == left
            _, reward, ended, _, _ = env.step(env.mission)
            assert ended == (left == 1) and (reward > 0) == ended
    assert tried >= 10


def test_a_mission_that_is_done_or_impossible_changes_nothing(env):
    done = impossible = 0
    for seed in range(10):
        env.reset(seed=seed)
        absent = next(m for m in range(len(MOVES), len(SENTENCES)) if not env.places(m))
        assert env.way(absent) is None
        before = env.render()
        after, *_ = env.step(absent)
        assert np.array_equal(before, after)
        impossible += 1
        for mission in set(env.possible()[3:]) - {env.mission}:
            ended = False
            while env.way(mission) and not ended:
                before, ended = env.render(), env.step(mission)[2]
                assert not np.array_equal(before, env.render())
            if ended:
                break
            before = env.render()
            after, _, ended, cut, _ = env.step(mission)
            assert np.array_equal(before, after) and not ended
            done += 1
            if cut:
                break
    assert done > 10 and impossible == 10


def test_what_is_possible_has_a_way(env):
    env.reset(seed=1)
    possible = env.possible()
    assert possible[:3] == [0, 1, 2] and env.mission in possible
    assert all(env.places(mission) for mission in possible[3:])
    assert len(possible) < len(SENTENCES)


def test_it_ends_and_says_so():
    env = BabyAIEnv(max_steps=3)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)
    for seed in range(50):
        env.reset(seed=seed)
        for _ in range(3):
            *_, ended, cut, _ = env.step(0)
            if ended:
                break
        assert ended or cut
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="0 to 20"):
        env.step(21)


def test_the_expert_says_the_mission_and_its_recording_ends_well(tmp_path):
    store = record("babyai/go-to-local", tmp_path / "d", frames=80, policy="expert", progress=False)
    assert store.info["action_space"]["names"] == list(SENTENCES)
    whole = [store[i] for i in range(len(store) - 1)]
    assert len(whole) > 5
    assert all(e.terminated[-1] and (e.actions == e.state[0, 3]).all() for e in whole)
