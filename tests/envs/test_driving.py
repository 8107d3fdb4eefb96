"""The car: its pictures are Gymnasium's, its state is true, and its drivers drive as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gymnasium.utils import seeding

pytest.importorskip("Box2D")

from wmlearn.envs import env_keys, make
from wmlearn.envs.drivers import KINDS, Driver, expert
from wmlearn.envs.driving import KEYS, ROAD_WIDTH, STATE
from wmlearn.envs.experts import make_policy
from wmlearn.envs.pixels import resize


@pytest.fixture(scope="module")
def env():
    env = make("driving/car-racing")
    yield env
    env.close()


def drive(env, steps, action=None, seed=0, act=None):
    env.reset(seed=seed)
    for _ in range(steps):
        frame, reward, terminated, truncated, info = env.step(act(env) if act else action)
    return frame, info["state"]


def test_the_pictures_are_those_of_gymnasium(env):
    from gymnasium.envs.box2d.car_racing import CarRacing

    theirs = CarRacing()
    theirs.reset(seed=int(seeding.np_random(3)[0].integers(2**31)))
    theirs.t = 1.0  # its zoom at the beginning is left out
    frame, _ = env.reset(seed=3)
    driver = Driver(env, 1, "hazard")
    for _ in range(40):
        action = driver(frame)
        frame, *_ = env.step(action)
        for _ in range(env.frame_skip):
            picture, *_ = theirs.step(action)
    theirs.close()
    seen = np.ascontiguousarray(picture[:84, 6:90])
    assert np.array_equal(frame, resize(seen, 64))


def test_an_episode_repeats_and_seeds_differ(env):
    first = drive(env, 15, np.array([0.3, 0.8, 0.0]), seed=5)
    again = drive(env, 15, np.array([0.3, 0.8, 0.0]), seed=5)
    other = drive(env, 15, np.array([0.3, 0.8, 0.0]), seed=6)
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_speed_is_what_the_place_says(env):
    env.reset(seed=1)
    before = env.state
    for _ in range(40):
        env.step(np.array([0.0, 1.0, 0.0]))
        now = env.state
        moved = math.hypot(now["x"] - before["x"], now["y"] - before["y"])
        before = now
    assert moved / (env.frame_skip / 50) == pytest.approx(now["speed"], rel=0.1)
    assert now["speed"] > 20


def test_left_of_the_road_is_positive_and_its_edge_is_one_half(env):
    env.reset(seed=2)
    start = env.state
    assert abs(start["lateral"]) < 0.05 and abs(start["heading"]) < 0.2
    for _ in range(30):
        env.step(np.array([-0.4, 0.4, 0.0]))  # to the left
    turned = env.state
    assert turned["heading"] > 0.1 and turned["lateral"] > start["lateral"]
    edge = env._sim.road_poly[0][0]  # the corners of a tile: left, right, right, left
    assert math.dist(edge[0], edge[1]) == pytest.approx(ROAD_WIDTH, rel=1e-6)


def test_the_road_ahead_is_seen_from_the_car(env):
    env.reset(seed=4)
    right, ahead = env.road_ahead(10.0)
    assert ahead == pytest.approx(10.0, abs=2.5) and abs(right) < 4
    turn = env.turn_ahead(0.0, 20.0)
    assert turn == pytest.approx(env.state["curvature"])


def test_the_expert_stays_on_the_road_and_hazard_leaves_it():
    env = make("driving/car-racing")
    lateral, returns = {}, {}
    for kind in ("expert", "hazard"):
        driver, places, total = Driver(env, 7, kind), [], 0.0
        frame, _ = env.reset(seed=7)
        for _ in range(250):
            frame, reward, *_, info = env.step(driver(frame))
            places.append(abs(info["state"][1]))
            total += reward
        lateral[kind], returns[kind] = max(places), total
    env.close()
    assert lateral["expert"] < 0.6 < lateral["hazard"]
    assert returns["expert"] > 250 > returns["hazard"]


def test_drivers_come_in_equal_parts_and_repeat(env):
    env.reset(seed=0)
    kinds = [Driver(env, seed).kind for seed in range(300)]
    assert all(abs(kinds.count(kind) - 100) < 30 for kind in KINDS)
    one, two = Driver(env, 11, "noise"), Driver(env, 11, "noise")
    assert all(np.array_equal(one(), two()) for _ in range(20))
    assert isinstance(make_policy("mixed", env, 3), Driver)
    assert make_policy("expert", env)(None).shape == (3,)
    for _ in range(100):
        assert env.action_space.contains(one())
    with pytest.raises(ValueError, match="no driver 'bus'"):
        Driver(env, 0, "bus")


def test_keys_press_what_the_table_says():
    keys = make("driving/car-racing-keys")
    assert keys.action_names == list(KEYS) and keys.action_space.n == len(KEYS)
    assert env_keys("driving/car-racing-keys")["ArrowUp+ArrowLeft"] == list(KEYS).index("upleft")
    pressed, state = drive(keys, 12, list(KEYS).index("up"))
    keys.close()
    plain = make("driving/car-racing")
    same, other = drive(plain, 12, np.array(KEYS["up"]))
    plain.close()
    assert np.array_equal(pressed, same) and np.array_equal(state, other)
    assert state.shape == (len(STATE),)


def test_an_episode_ends_and_then_wants_a_reset():
    env = make("driving/car-racing", frame_skip=500)
    env.reset(seed=0)
    *_, truncated, _ = env.step(np.zeros(3))
    assert not truncated
    *_, truncated, _ = env.step(np.zeros(3))
    assert truncated
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros(3))
    env.close()


def test_the_expert_is_faster_when_it_dares_more(env):
    means = [
        np.mean([drive(env, n, act=expert(daring))[1][0] for n in (120, 150)])
        for daring in (0.6, 1.0)
    ]
    assert means[0] < means[1]
