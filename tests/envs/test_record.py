"""record(): same seed same bytes, safe against kill -9, refuses to mix settings."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from places import ROOT

from wmlearn.data import record as module
from wmlearn.data.episodes import EpisodeError, EpisodeStore
from wmlearn.data.record import record
from wmlearn.envs import pixels, registry


class Walk(gymnasium.Env):
    """A dot walks on a line of 16 places until it falls off, or 40 steps are over."""

    action_names = ["noop", "left", "right"]
    frame_skip = 1

    def __init__(self, size: int = 64, delay: float = 0.0, continuous: bool = False) -> None:
        self.observation_space = pixels.pixel_space(size)
        self.action_space = Box(-1, 1, (1,), np.float32) if continuous else Discrete(3)
        self._size, self._delay, self._continuous = size, delay, continuous

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place, self._time = int(self.np_random.integers(4, 12)), 0
        self._color = self.np_random.integers(1, 256, 3, dtype=np.uint8)
        return self._frame(), {}

    def step(self, action):
        time.sleep(self._delay)
        self._place += int(np.sign(action[0])) if self._continuous else (0, -1, 1)[action]
        self._time += 1
        fell = not 0 <= self._place < 16
        return self._frame(), float(self._place), fell, self._time >= 40 and not fell, {}

    def _frame(self):
        frame = np.zeros((self._size, self._size, 3), np.uint8)
        frame[:, max(self._place, 0) * self._size // 16 :][:, : self._size // 16] = self._color
        return frame


registry["test/walk"] = Walk  # here and in the process that a test kills, which imports this file


def digests(folder: Path) -> dict[str, str]:
    """Every file of a folder, hidden ones too -> its hash."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Path:
    """300 frames, recorded without interruption."""
    path = tmp_path_factory.mktemp("walk") / "set"
    record("test/walk", path, frames=300, size=16, seed=3)
    return path


def test_frames_actions_and_rewards_belong_together(walk):
    store = EpisodeStore(walk)
    assert store.num_frames == 300 and store.episodes > 5
    assert store.info["env"] == "test/walk" and store.info["policy"] == "random"
    assert store.info["action_space"]["names"] == Walk.action_names
    for number in range(store.episodes):
        episode = store[number]
        steps = len(episode.actions)
        place = np.array([np.flatnonzero(frame[0, 0])[0] for frame in episode.frames[:-1]])
        moved = np.array([0, -1, 1])[episode.actions]
        assert np.array_equal(episode.rewards, place + moved)
        ends = episode.terminated | episode.truncated
        assert not ends[:-1].any() and ends[-1]
        assert not (episode.terminated & episode.truncated).any()
        fell = not 0 <= episode.rewards[-1] < 16
        assert episode.terminated[-1] == fell
        assert steps <= 40
    assert len({store[number].frames[0].tobytes() for number in range(store.episodes)}) > 5


def test_same_seed_same_bytes(walk, tmp_path):
    record("test/walk", tmp_path / "same", frames=300, size=16, seed=3)
    assert digests(tmp_path / "same") == digests(walk)
    other = record("test/walk", tmp_path / "other", frames=300, size=16, seed=4)
    assert not np.array_equal(other[0].actions, EpisodeStore(walk)[0].actions)


def test_kill_9_loses_only_the_running_episode(walk, tmp_path):
    out = tmp_path / "killed"
    code = (
        "import test_record\n"
        "test_record.registry['test/walk'] = lambda size: test_record.Walk(size, delay=0.005)\n"
        f"test_record.record('test/walk', {str(out)!r}, frames=300, size=16, seed=3)\n"
    )
    places = (Path(__file__).parent, ROOT / "tests/shared", ROOT)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("episode-*"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 2 <= EpisodeStore(out).episodes < EpisodeStore(walk).episodes
    (out / ".episode-000099.safetensors.1.tmp").write_bytes(b"what a kill while writing leaves")
    record("test/walk", out, frames=300, size=16, seed=3)
    assert digests(out) == digests(walk)


def test_a_finished_recording_is_not_touched(walk):
    before = {path: path.stat().st_mtime_ns for path in walk.iterdir()}
    record("test/walk", walk, frames=300, size=16, seed=3)
    record("test/walk", walk, frames=50, size=16, seed=3)
    assert {path: path.stat().st_mtime_ns for path in walk.iterdir()} == before


def test_a_deleted_episode_is_recorded_again(walk, tmp_path):
    shutil.copytree(walk, tmp_path / "set")
    for number in (0, 2):
        (tmp_path / "set" / f"episode-{number:06d}.safetensors").unlink()
    record("test/walk", tmp_path / "set", frames=300, size=16, seed=3)
    assert digests(tmp_path / "set") == digests(walk)


def test_a_recording_can_be_extended(tmp_path):
    first = record("test/walk", tmp_path / "set", frames=100, size=16)
    files = digests(tmp_path / "set")
    longer = record("test/walk", tmp_path / "set", frames=160, size=16)
    assert first.num_frames in (99, 100) and longer.num_frames in (159, 160)
    assert files.items() <= digests(tmp_path / "set").items()


def test_other_settings_are_refused(walk):
    for change, words in [
        ({"seed": 4}, "seed is 3 there, 4 here"),
        ({"size": 32}, "frame_shape"),
        ({"hold": 1.0}, "hold"),
    ]:
        with pytest.raises(EpisodeError, match=words):
            record("test/walk", walk, **{"frames": 400, "size": 16, "seed": 3, **change})
    assert EpisodeStore(walk).num_frames == 300
    with pytest.raises(ValueError, match="at least 2"):
        record("test/walk", walk, frames=1)


def test_long_episodes_are_truncated(tmp_path):
    store = record("test/walk", tmp_path / "set", frames=60, size=16, max_steps=3, hold=1)
    assert store.lengths.max() == 4 and store.num_frames == 60
    for number in range(store.episodes):
        last = store[number]
        if len(last.actions) == 3 and not last.terminated[-1]:
            assert last.truncated.tolist() == [False, False, True]


def test_policy_may_be_a_function(tmp_path):
    def go_right(frame):
        assert frame.shape == (16, 16, 3)
        return 2

    store = record("test/walk", tmp_path / "set", frames=50, size=16, policy=go_right)
    assert store.info["policy"] == "go_right"
    assert all((store[number].actions == 2).all() for number in range(store.episodes))


def test_continuous_actions(tmp_path):
    store = record("test/walk", tmp_path / "set", frames=50, size=16, hold=1, continuous=True)
    assert store.action_space == Box(-1, 1, (1,), np.float32)
    assert store.info["env_kwargs"] == {"continuous": True}
    clip = store.clip([(0, 0)], 3)
    assert clip.actions.dtype.is_floating_point and clip.actions.shape == (1, 2, 1)
    assert clip.actions.abs().max() <= 1


def test_no_bar_in_ci(monkeypatch):
    import wmlearn.data.progress as progress

    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    assert not progress.progress_bar(10, 0, "record", show=True).disable
    assert progress.progress_bar(10, 0, "record", show=False).disable
    monkeypatch.setenv("CI", "true")
    assert progress.progress_bar(10, 0, "record", show=True).disable


def test_command_line(walk, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    words = f"test/walk --frames 300 --size 16 --seed 3 --out {tmp_path / 'set'}"
    module.run(parser.parse_args(words.split()))
    assert digests(tmp_path / "set") == digests(walk)
    episodes = EpisodeStore(walk).episodes
    assert f"300 frames in {episodes} episodes" in capsys.readouterr().out
    with pytest.raises(ValueError, match="for video files"):
        module.run(parser.parse_args(f"{words} --fps 3".split()))


@pytest.mark.skipif(importlib.util.find_spec("vizdoom") is None, reason="vizdoom is not installed")
@pytest.mark.parametrize("policy", ["random", "expert", "mixed"])
def test_doom_twice_the_same(tmp_path, policy):
    for name in ("a", "b"):
        store = record("doom/basic", tmp_path / name, frames=100, policy=policy, seed=1, size=32)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert store.num_frames in (99, 100)
    assert store.info["frame_skip"] == 4 and store.frame_shape == (3, 32, 32)
    assert store[0].rewards.max() <= 101 and store[0].rewards.min() < 0


@pytest.mark.parametrize(("value", "words"), [(4, "step 3 is 4, which Discrete"), (0.5, "0.5")])
def test_actions_outside_the_space_are_refused(tmp_path, value, words):
    answers = iter([0, 1, value])
    with pytest.raises(ValueError, match=words):
        record("test/walk", tmp_path / "set", frames=40, size=16, policy=lambda _: next(answers))
    assert not list((tmp_path / "set").glob("episode-*"))


@pytest.mark.parametrize(
    "wrong",
    [{"frames": 1}, {"seed": -1}, {"max_steps": 0}, {"size": 0}, {"hold": 0.5}, {"hold": np.nan}],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least"):
        record("CartPole-v1", tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_rewards_that_are_no_numbers_are_refused(tmp_path, monkeypatch):
    plain = registry["test/walk"]

    def broken(**kwargs):
        env = plain(**kwargs)
        step = env.step
        env.step = lambda action: (lambda r: (r[0], float("nan"), *r[2:]))(step(action))
        return env

    monkeypatch.setitem(registry, "test/walk", broken)
    with pytest.raises(ValueError, match="Step 1 of the episode with seed .* reward nan"):
        record("test/walk", tmp_path / "set", frames=40, size=16)
