"""Real environments: pixels, seeds, ends of episodes, experts, and clear refusals."""

from __future__ import annotations

import gc
import importlib.util
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env

import wmlearn.envs as envs
from wmlearn.envs.experts import (
    RandomPolicy,
    Returns,
    make_policy,
    measure_returns,
)
from wmlearn.envs.keys import keys_for

HAS_DOOM = importlib.util.find_spec("vizdoom") is not None
HAS_ATARI = importlib.util.find_spec("ale_py") is not None
HAS_PROCGEN = importlib.util.find_spec("envpool") is not None
needs_procgen = pytest.mark.skipif(not HAS_PROCGEN, reason="envpool is not installed")
needs_doom = pytest.mark.skipif(not HAS_DOOM, reason="vizdoom is not installed")
needs_atari = pytest.mark.skipif(not HAS_ATARI, reason="ale-py is not installed")
GAMES = [
    *(pytest.param(f"doom/{name}", marks=needs_doom) for name in envs.doom.SCENARIOS),
    pytest.param("atari/breakout", marks=needs_atari),
    pytest.param("atari/pong", marks=needs_atari),
    pytest.param("procgen/coinrun", marks=needs_procgen),
    pytest.param("procgen/jumper-hard", marks=needs_procgen),
]


class Patch(gymnasium.Env):
    """A white square on a ground whose gray is the seed; renders only."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.gray, self.time = (seed or 0) % 100, 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.time += 1
        return np.zeros(2, np.float32), 1.0, self.time == 10, False, {}

    def render(self):
        frame = np.full((128, 96, 3), self.gray, np.uint8)
        frame[:64, :48] = 255
        return frame


class Blind(Patch):
    metadata = {"render_modes": []}


gymnasium.register("wmlearn-test/Patch-v0", Patch)
gymnasium.register("wmlearn-test/Blind-v0", Blind)


def play(env: gymnasium.Env, seed: int, steps: int) -> tuple[list[np.ndarray], list[float]]:
    frame, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    frames, rewards = [frame], []
    for _ in range(steps):
        frame, reward, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
        frames.append(frame)
        rewards.append(reward)
        if terminated or truncated:
            break
    return frames, rewards


@pytest.mark.parametrize("env_id", GAMES)
def test_same_seed_same_episode(env_id):
    env, other = envs.make(env_id), envs.make(env_id)
    try:
        frames, rewards = play(env, 7, 25)
        play(other, 3, 5)  # what was played before must not matter
        again, rewards_again = play(other, 7, 25)
        assert np.array_equal(frames, again) and rewards == rewards_again
        assert frames[0].shape == (64, 64, 3) and frames[0].dtype == np.uint8
        assert not np.array_equal(frames[0], frames[-1])
        assert len(env.unwrapped.action_names) == env.action_space.n
        assert env.unwrapped.action_names[0] == "noop"
    finally:
        env.close()
        other.close()


@pytest.mark.parametrize("env_id", [GAMES[0], GAMES[3]])
def test_gymnasium_checker(env_id):
    env = envs.make(env_id)
    try:
        check_env(env, skip_render_check=True)
    finally:
        env.close()


@needs_doom
def test_doom_ends_show_a_picture_and_time_outs_truncate():
    env = envs.make("doom/basic")
    try:
        brightness = env.reset(seed=0)[0].mean()
        for step in range(1, 76):  # 300 tics of nothing
            frame, reward, terminated, truncated, _ = env.step(0)
            assert terminated is False and truncated is (step == 75)
        assert reward == -4
        assert frame.mean() == pytest.approx(brightness, rel=0.2)
        with pytest.raises(RuntimeError, match="reset"):
            env.step(0)
    finally:
        env.close()


@needs_doom
def test_doom_kill_terminates_with_a_picture():
    env = envs.make("doom/basic", labels=True)
    try:
        frame, _ = env.reset(seed=1)
        brightness, act = frame.mean(), make_policy("expert", env)
        terminated = truncated = False
        while not (terminated or truncated):
            frame, reward, terminated, truncated, _ = env.step(act(frame))
        assert terminated and reward > 90 and frame.mean() > 0.5 * brightness
    finally:
        env.close()


@needs_doom
@pytest.mark.parametrize(
    ("scenario", "episodes", "expert_floor", "random_ceiling"),
    [("basic", 6, 50, 0), ("health-gathering", 1, 1500, 1000), ("defend-the-center", 2, 8, 4)],
)
def test_experts_beat_random(scenario, episodes, expert_floor, random_ceiling):
    expert = measure_returns(f"doom/{scenario}", "expert", episodes, seed=5)
    random = measure_returns(f"doom/{scenario}", "random", episodes, seed=5)
    assert expert.mean > expert_floor
    assert random.mean < random_ceiling


@needs_doom
def test_doom_with_its_status_bar_tells_what_the_picture_shows():
    """The state is the engine's: numbers of the bar, and boxes where monsters are drawn."""
    env = envs.make("doom/defend-the-center-hud")
    try:
        names, act = env.unwrapped.state_names, make_policy("expert", env)
        frame, info = env.reset(seed=3)
        assert env.unwrapped.frame_skip == 2 and frame.shape == (64, 64, 3)
        assert dict(zip(names, info["state"], strict=True))["ammo"] == 26
        first, seen, reward, over = frame, [], 0.0, False
        while info["state"][names.index("kills")] < 3 and not over:
            frame, paid, terminated, truncated, info = env.step(act(frame))
            reward, over = reward + paid, terminated or truncated
            if info["state"][names.index("enemy0_height")] > 0.15:
                seen.append((frame, info["state"].copy()))
        state = dict(zip(names, info["state"], strict=True))
        assert state["kills"] == reward == 3 and state["ammo"] <= 23
        assert (frame[48:, :26] != first[48:, :26]).mean() > 0.02  # other digits
        assert (frame[48:, 32:] == first[48:, 32:]).all() == (state["health"] == 100)
        assert seen
        inside, outside = [], []
        for picture, known in seen:
            x, y, width, height = known[names.index("enemy0_x") :][:4] * 64
            box = np.zeros((64, 64), bool)
            rows = slice(max(0, int(y - height / 2)), int(y + height / 2))
            box[rows, max(0, int(x - width / 2)) : max(0, int(x + width / 2))] = True
            spread = picture.max(-1).astype(int) - picture.min(-1)
            inside.append(picture[box].std() if box.any() else 0)
            outside.append(picture[20:46][~box[20:46]].std() if spread.any() else 0)
        assert np.mean(inside) > np.mean(outside)
    finally:
        env.close()


@needs_atari
def test_atari_loses_lives_without_ending():
    env = envs.make("atari/breakout")
    try:
        _, info = env.reset(seed=0)
        lives, ended = [info["lives"]], False
        while not ended:
            _, _, ended, truncated, info = env.step(1)  # fire, never move
            assert not truncated
            lives.append(info["lives"])
        assert sorted(set(lives), reverse=True) == [5, 4, 3, 2, 1, 0]
    finally:
        env.close()


@needs_atari
def test_atari_shows_the_maximum_of_two_frames_and_truncates():
    env = envs.make("atari/pong", size=160, max_frames=100, noops=0)
    try:
        env.reset(seed=0)
        twin = envs.make("atari/pong", size=160, frame_skip=1, noops=0)
        twin.reset(seed=0)
        for _ in range(20):
            frame = env.step(0)[0]
            singles = [twin.ale.act(0) or twin.ale.getScreenRGB() for _ in range(4)]
        expected = envs.resize(np.maximum(*singles[-2:]), 160)
        assert np.array_equal(frame, expected)
        steps = 20
        while not env.step(0)[3]:
            steps += 1
        assert steps + 1 == 25
    finally:
        env.close()


def test_any_gymnasium_env_that_renders():
    env = envs.make("wmlearn-test/Patch-v0", size=32)
    frame, _ = env.reset(seed=40)
    assert frame.shape == (32, 32, 3)
    assert (frame[:16, :16] == 255).all() and (frame[16:] == 40).all()
    assert env.unwrapped.action_names == ["0", "1"]
    frame, reward, terminated, truncated, _ = env.step(1)
    assert (reward, terminated, truncated) == (1.0, False, False)
    skipping = envs.make("wmlearn-test/Patch-v0", frame_skip=4)
    skipping.reset(seed=0)
    assert [skipping.step(0)[1:3] for _ in range(3)] == [(4, False), (4, False), (2, True)]


def test_resize_averages_areas():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (envs.resize(stripes, 64) == 100).all()


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("doom/chess", "choose one of doom/basic"),
        ("nonsense-v0", "list_envs"),
        ("no_such_module:Game-v0", "no_such_module"),
        ("wmlearn-test/Blind-v0", "shows no pixels"),
        pytest.param("atari/solitaire-3d", "no Atari game", marks=needs_atari),
    ],
)
def test_unknown_environments_are_refused(env_id, words):
    with pytest.raises(ValueError, match=words):
        envs.make(env_id)


@pytest.mark.parametrize(
    ("env_id", "module"), [("doom/basic", "vizdoom"), ("atari/pong", "ale_py")]
)
def test_missing_packages_are_named(monkeypatch, env_id, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "wmlearn\[envs\]"'):
        envs.make(env_id)


def test_list_envs_and_registry(monkeypatch):
    known = envs.list_envs()
    assert {"doom/basic", "doom/health-gathering", "doom/defend-the-center"} <= set(known)
    assert not HAS_ATARI or {"atari/breakout", "atari/pong", "atari/space-invaders"} <= set(known)
    monkeypatch.setitem(
        envs.registry, "my/game", lambda size: envs.PixelEnv("wmlearn-test/Patch-v0", size)
    )
    assert envs.make("my/game", 16).reset(seed=0)[0].shape == (16, 16, 3)


def test_keys():
    assert keys_for(["noop", "left", "right", "attack"]) == {
        "ArrowLeft": 1,
        "ArrowRight": 2,
        " ": 3,
    }
    assert keys_for(["noop", "fire", "upleft", "leftfire"]) == {
        " ": 1,
        "ArrowUp+ArrowLeft": 2,
        "ArrowLeft+Space": 3,
    }
    assert envs.env_keys("wmlearn-test/Patch-v0") == {"1": 0, "2": 1}


def test_random_policy_holds_actions():
    env = envs.make("wmlearn-test/Patch-v0")
    env.action_space = Discrete(50)  # so that two draws in a row hardly ever agree
    for hold in (1.0, 3.0):
        act = RandomPolicy(env, seed=0, hold=hold)
        actions = np.array([act() for _ in range(6000)])
        changes = np.count_nonzero(np.diff(actions)) + 1
        assert len(actions) / changes == pytest.approx(hold, rel=0.1)
        assert np.bincount(actions, minlength=50).min() > 0
        act.reset(0)
        assert np.array_equal(actions[:100], [act() for _ in range(100)])


@needs_doom
def test_mixed_policy_lies_between():
    env = envs.make("doom/health-gathering", labels=True)
    try:
        mixed, expert = make_policy("mixed", env), make_policy("expert", env)
        agreement = []
        for seed in range(12):
            mixed.reset(seed)
            expert.reset(seed)
            frame, _ = env.reset(seed=seed)
            same = 0
            for _ in range(25):
                action = mixed(frame)
                same += action == expert(frame)
                frame = env.step(action)[0]
            agreement.append(same / 25)
        assert max(agreement) - min(agreement) > 0.3  # the rate differs between episodes
        assert 0.3 < np.mean(agreement) < 0.95
    finally:
        env.close()


def test_policies_that_do_not_exist():
    env = envs.make("wmlearn-test/Patch-v0")
    with pytest.raises(ValueError, match="no scripted expert for wmlearn-test/Patch-v0"):
        make_policy("expert", env)
    with pytest.raises(ValueError, match="choose one of random, expert, mixed"):
        make_policy("clever", env)


def test_measure_returns_takes_a_function():
    returns = measure_returns("wmlearn-test/Patch-v0", lambda frame: 0, episodes=3)
    assert returns.values == (10.0, 10.0, 10.0) and returns.interval == (10.0, 10.0)
    assert Returns((0.0, 2.0)).interval == pytest.approx((1 - 1.96, 1 + 1.96))


def test_engines_are_collected():
    """No reference cycle keeps an environment (and so its engine) alive."""
    if not HAS_DOOM:
        pytest.skip("vizdoom is not installed")
    env = envs.make("doom/basic")
    close = env._close
    del env
    gc.collect()
    assert not close.alive
