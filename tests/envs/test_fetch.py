"""The Fetch arm: pixels, states, experts, pictures of goals, and recordings."""

import importlib.util

import numpy as np
import pytest
import torch

from wmlearn.data.record import record
from wmlearn.data.shipped import pack_clips, unpack
from wmlearn.envs import make
from wmlearn.envs.experts import ExpertPolicy

needs_fetch = pytest.mark.skipif(
    importlib.util.find_spec("gymnasium_robotics") is None, reason="no gymnasium-robotics"
)


@needs_fetch
def test_the_arm_moves_as_told_and_pictures_leave_the_episode_alone():
    env = make("fetch/push")
    frame, info = env.reset(seed=3)
    assert frame.shape == (64, 64, 3) and frame.std() > 20
    assert env.state_names == [f"{p}_{a}" for p in ("gripper", "block") for a in "xyz"]
    before, up = info["state"], np.array([0, 0, 1], np.float32)
    frame, reward, terminated, truncated, info = env.step(up)
    moved = info["state"] - before
    assert 0.04 < moved[2] < 0.08 and np.abs(moved[:2]).max() < 0.02
    assert not terminated and not truncated and reward == -1.0

    goal, shown = env.picture([1.3, 0.7, 0.5], block=[1.4, 0.8])
    assert np.allclose(shown[:3], [1.3, 0.7, 0.5], atol=0.01)
    assert np.allclose(shown[3:5], [1.4, 0.8], atol=0.01)
    assert (goal != frame).any() and np.array_equal(env.picture(env.gripper)[0], frame)
    twin = make_and_step(up)
    for action in (np.ones(3), -np.ones(3)):
        ours, theirs = env.step(action), twin.step(action)
        assert np.allclose(ours[4]["state"], theirs[4]["state"], atol=1e-5)
    env.close()
    twin.close()


def make_and_step(action):
    env = make("fetch/push")
    env.reset(seed=3)
    env.step(action)
    return env


@needs_fetch
@pytest.mark.parametrize("task", ["reach", "push"])
def test_the_expert_succeeds_and_stays_in_view(task):
    env = make(f"fetch/{task}")
    expert, reached = ExpertPolicy(env), 0
    for seed in range(4):
        frame, info = env.reset(seed=seed)
        expert.reset(seed)
        over = False
        while not over:
            frame, _, _, over, info = env.step(expert(frame))
        reached += info["success"]
    assert reached >= 3
    env.close()


@needs_fetch
def test_recordings_and_clip_sets_keep_actions_and_states(tmp_path, monkeypatch):
    store = record("fetch/push", tmp_path / "data", frames=52, policy="mixed", progress=False)
    clip = store.clip([(0, 3), (1, -2)], 5)
    assert clip.actions.shape == (2, 4, 3) and clip.actions.dtype == torch.float32
    assert torch.equal(clip.state[0], torch.from_numpy(np.array(store[0].state[3:8])))
    assert torch.equal(clip.state[1, 0], clip.state[1, 2]) and clip.padded[1, :2].all()

    folder = tmp_path / "assets" / "clips" / "arm"
    about = dict(licence="MIT", attribution="a test")
    pack_clips(store, [(0, 0), (1, 1)], 20, folder, about, quality=80)
    monkeypatch.setenv("WMLEARN_ASSETS", str(tmp_path / "assets"))
    back = unpack("clips/arm", tmp_path / "back")
    assert back.action_space == store.action_space
    assert np.array_equal(back[1].state, store[1].state[1:21])
    assert np.array_equal(back[1].actions, store[1].actions[1:20])
    assert np.abs(back[1].frames.astype(int) - store[1].frames[1:21]).mean() < 6


def test_an_unknown_task_names_those_that_exist():
    with pytest.raises(ValueError, match="fetch/push"):
        make("fetch/fly")
