"""Shipped clips: the episodes that come out are those that went in, and damage is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from wmlearn.data.episodes import EpisodeError, EpisodeStore
from wmlearn.data.shipped import find_clips, pack, unpack

CLIPS = find_clips("procgen/coinrun", "mixed", 10_000, 64)


def test_the_course_ships_clips_of_coinrun_in_little_space():
    assert CLIPS is not None
    assert sum(file.stat().st_size for file in CLIPS.iterdir()) < 2e6
    assert find_clips("procgen/coinrun", "mixed", 10_100, 64) is None  # not that many
    assert find_clips("procgen/coinrun", "random", 100, 64) is None


def test_pack_and_unpack_change_nothing(tmp_path):
    first = unpack(CLIPS, tmp_path / "first", frames=300)
    assert 300 <= first.num_frames < 700
    again = unpack(pack(first, tmp_path / "packed"), tmp_path / "again")
    assert len(first) == len(again) and first.action_space == again.action_space
    for i in range(len(first)):
        for name in ("frames", "actions", "rewards", "terminated", "truncated"):
            assert np.array_equal(getattr(first[i], name), getattr(again[i], name))
    assert again.info["action_space"]["names"][0] == "noop"


def test_unpacking_goes_on_where_it_stopped(tmp_path):
    unpack(CLIPS, tmp_path / "data", frames=200)
    more = unpack(CLIPS, tmp_path / "data", frames=500)
    whole = unpack(CLIPS, tmp_path / "whole", frames=500)
    assert [f.read_bytes() for f in more.files] == [f.read_bytes() for f in whole.files]
    assert EpisodeStore(tmp_path / "data").num_frames == whole.num_frames


@pytest.mark.parametrize("name", ["frames.xz", "steps.safetensors"])
def test_a_damaged_file_is_refused(tmp_path, name):
    folder = shutil.copytree(CLIPS, tmp_path / "clips")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(EpisodeError, match=f"{name} is not the file"):
        unpack(folder, tmp_path / "out")
    (folder / name).unlink()
    with pytest.raises(EpisodeError, match="missing"):
        unpack(folder, tmp_path / "out")
