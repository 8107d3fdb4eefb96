"""Meta-World: plain pictures, same seed same episode, goal marks hidden, and the shipped clips."""

from __future__ import annotations

import importlib.util
import shutil

import numpy as np
import pytest
import torch

import wmlearn as wm
from wmlearn.chapters.ch11_vjepa.motion import PAIRS, motion_clips, still
from wmlearn.data.episodes import EpisodeError, EpisodeStore
from wmlearn.data.motions import CLASSES, class_names
from wmlearn.data.shipped import list_clip_sets, pack_clips

needs_metaworld = pytest.mark.skipif(
    importlib.util.find_spec("metaworld") is None, reason="metaworld is not installed"
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return wm.record("clips/metaworld", tmp_path_factory.mktemp("data") / "clips", progress=False)


def test_shipped_clips_unpack(shipped):
    assert "clips/metaworld" in list_clip_sets()
    assert len(shipped) == 960 and set(shipped.lengths) == {16}
    assert shipped.action_space is None and shipped.info["licence"] == "MIT"
    names = class_names(shipped)
    assert names[: len(CLASSES)] == CLASSES
    assert all(names.count(name) == 60 for name in CLASSES)
    moved = np.abs(np.diff(shipped[0].frames.astype(int), axis=0)).mean()
    assert moved > 0.5, "nothing moves"


def test_unpacking_goes_on_where_it_stopped(shipped, tmp_path):
    shutil.copytree(shipped.path, tmp_path / "half")
    for file in shipped.files[500:]:
        (tmp_path / "half" / file.name).unlink()
    again = wm.record("clips/metaworld", tmp_path / "half", progress=False)
    assert len(again) == 960
    assert np.array_equal(again[959].frames, shipped[959].frames)


def test_probe_clips_are_balanced_and_apart(shipped):
    clips = motion_clips(shipped)
    assert len(clips.train) == 720 and len(clips.test) == 240
    assert torch.bincount(clips.test_labels).tolist() == [15] * 16
    a, b = PAIRS[0]
    assert (CLASSES[a], CLASSES[b]) == ("door-open", "door-close")
    stills = still(clips.test).frames
    assert torch.equal(stills[:, 0], stills[:, -1])
    assert torch.equal(stills[:, 0], clips.test.frames[:, 7])


def test_a_changed_or_unknown_set_is_refused(shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("WMLEARN_ASSETS", str(tmp_path))
    with pytest.raises(EpisodeError, match="no clip set 'clips/nothing'"):
        wm.record("clips/nothing", tmp_path / "x", progress=False)
    about = {"licence": "MIT", "attribution": "ours"}
    two = tmp_path / "clips" / "two"
    folder = pack_clips(shipped, [(0, 0), (1, 4)], 8, two, about, keep=["classes"])
    store = wm.record("clips/two", tmp_path / "two", progress=False)
    assert len(store) == 2 and set(store.lengths) == {8}
    near = np.abs(store[1].frames.astype(int) - shipped[1].frames[4:12])
    assert near.mean() < 8
    file = folder / "clips.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(EpisodeError, match="missing, truncated or changed"):
        wm.record("clips/two", tmp_path / "again", progress=False)


def test_only_motions_have_classes(tmp_path):
    from wmlearn.data.episodes import Episode, EpisodeWriter

    writer = EpisodeWriter(tmp_path / "video", None, (3, 8, 8))
    writer.write(Episode(np.zeros((4, 3, 8, 8), np.uint8)))
    with pytest.raises(ValueError, match="have no classes"):
        class_names(EpisodeStore(tmp_path / "video"))


@needs_metaworld
def test_a_task_repeats_and_its_expert_finishes_it():
    env = wm.make("metaworld/drawer-open")
    try:
        first, _ = env.reset(seed=3)
        assert first.shape == (64, 64, 3) and first.dtype == np.uint8 and first.std() > 20
        act, success = env.expert(), False
        for _ in range(60):
            success |= env.simulate(act())[2]
        assert success
        last = env.render()
        assert np.abs(last.astype(int) - first).mean() > 3
        assert np.array_equal(env.reset(seed=3)[0], first)
        pose = env.pose()
        env.step(env.action_space.sample())
        assert np.array_equal(env.draw(pose), first), "drawing an earlier pose"
    finally:
        env.close()


@needs_metaworld
def test_unknown_tasks_are_named():
    with pytest.raises(ValueError, match="no Meta-World task 'door-slam'"):
        wm.make("metaworld/door-slam")
