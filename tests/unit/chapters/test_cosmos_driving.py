"""Chapter 8: what is read off a drive, who drives, and the loop that trained the checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import write_data
from torch.testing import assert_close

from wmlearn.chapters.ch08_cosmos.driving import (
    GAP,
    POLICIES,
    Controller,
    DrivingProbe,
    dream_again,
    drive_in_dream,
    drive_really,
    known,
    road_meters,
    train_probe,
    trajectory_error,
)
from wmlearn.chapters.ch08_cosmos.train_on_gpu import Frames, train
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.envs.driving import STATE
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.recipe import SMOKE
from wmlearn.systems.cosmos_ar import CosmosAR
from wmlearn.systems.cosmos_ar import recipe as autoregressive


def reading(speed=20.0, lateral=0.0, heading=0.0, curvature=0.0, frames=50):
    return torch.tensor([speed, lateral, heading, curvature]).expand(1, frames, 4)


@pytest.fixture(scope="module")
def world():
    return Cosmos(replace(SMOKE, image_size=64)).world()


def test_meters_of_road_count_speed_along_the_road_and_on_it():
    assert_close(road_meters(reading()), torch.tensor([40.0]))  # 50 frames are 2 s
    assert_close(road_meters(reading(heading=np.pi / 3)), torch.tensor([20.0]))
    assert road_meters(reading(lateral=0.7)).item() == 0
    assert road_meters(reading(speed=-5.0)).item() == 0
    there_and_back = reading()[:, :50].clone()
    there_and_back[:, 10:20, 1] = 0.9  # 0.4 s on the grass, after 0.4 s on the road
    assert_close(road_meters(there_and_back), torch.tensor([32.0]))
    assert_close(road_meters(there_and_back, to_the_end=False), torch.tensor([8.0]))


def test_two_drives_are_as_far_apart_as_their_places():
    one, two = reading(lateral=0.3), reading(lateral=-0.1)
    assert_close(trajectory_error(one, two, 50), torch.tensor([0.4]))
    ahead = reading(speed=20 + 40 / 3)  # a third of 40 m more in 3 s is 40 m
    assert_close(trajectory_error(ahead, reading(), 25), torch.tensor([1.0]), rtol=1e-4, atol=1e-4)


def test_the_controller_steers_to_the_road_and_minds_its_speed():
    rng = np.random.default_rng(0)

    def act(policy=POLICIES["steady"], **read):
        return policy.act(reading(**read)[:, 0], rng)[0]

    assert act(lateral=0.4)[0] > 0 > act(lateral=-0.4)[0]  # right of the left, left of the right
    assert act(heading=0.3)[0] > 0 and act(curvature=0.5)[0] < 0
    assert act(speed=5.0)[1] > 0 and act(speed=80.0)[2] > 0
    assert act(POLICIES["slow"], speed=30.0)[1] == 0 < act(POLICIES["fast"], speed=30.0)[1]
    assert act(POLICIES["stands"]).tolist() == [0, 0, 1]
    noisy = Controller(noise=0.5)
    assert not torch.equal(act(noisy), act(noisy))


def test_the_probe_learns_what_a_picture_shows():
    """A bright column whose place is the car's place on the road."""
    names = list(STATE)

    def draw(generator, count):
        place = torch.randint(0, 56, (count,), generator=generator)
        frames = torch.zeros(count, 2, 3, 64, 64, dtype=torch.uint8)
        for row, x in enumerate(place.tolist()):
            frames[row, :, :, :, x : x + 8] = 255
        state = torch.zeros(count, len(names))
        state[:, names.index("lateral")] = place / 28.0 - 1
        return frames, state

    probe = train_probe(draw, steps=120, batch=32)
    frames, state = draw(torch.Generator().manual_seed(9), 64)
    read = probe.read(frames[:, :1].expand(-1, GAP + 1, -1, -1, -1))
    assert read.shape == (64, 1, 4)
    assert (read[:, 0, 1] - known(state)[:, 1]).abs().mean() < 0.15


def test_dreams_go_on_from_real_beginnings_and_take_their_actions(world):
    torch.manual_seed(0)
    probe = DrivingProbe().eval()
    start = Clip(torch.randint(256, (2, 9, 3, 64, 64)).byte(), torch.rand(2, 8, 3))
    dream = drive_in_dream(POLICIES["steady"], probe, start, world, 3)
    assert dream.frames.shape == (2, 12, 3, 64, 64) and dream.read(probe).shape == (2, 12, 4)
    held = dream.actions.unflatten(1, (3, 4))
    assert (held == held[:, :, :1]).all()
    assert torch.equal(dream_again(dream, world).frames, dream.frames)  # same seed, same actions


def test_real_drives_line_up_frames_actions_and_states(world):
    pytest.importorskip("Box2D")
    probe = DrivingProbe().eval()
    drives = drive_really(POLICIES["straight on"], probe, [3, 4], world, 2)
    assert drives.start.frames.shape == (2, 9, 3, 64, 64)
    assert drives.start.actions.shape == (2, 8, 3)
    assert drives.frames.shape[1] == drives.actions.shape[1] == drives.state.shape[1] == 8
    assert (drives.actions == torch.tensor([0.0, 0.4, 0.0])).all()
    assert torch.isfinite(drives.rewards).all()
    again = drive_really(POLICIES["straight on"], probe, [3, 4], world, 2)
    assert torch.equal(again.frames, drives.frames)


@pytest.mark.parametrize(("system", "config"), [(Cosmos, SMOKE), (CosmosAR, autoregressive.SMOKE)])
def test_the_long_training_trains_both_parts(system, config, tmp_path, monkeypatch):
    monkeypatch.setattr("wmlearn.chapters.ch08_cosmos.train_on_gpu.SEGMENT", 17)
    store = EpisodeStore(write_data("cosmos", tmp_path / "data"))
    data = Frames(store, range(8), torch.device("cpu"))
    clips, actions = data.clips(data.begins(17)[:3], 17)
    assert clips.shape[:2] == (3, 17) and actions.shape == (3, 16, 3)
    assert torch.equal(clips[1, 0], clips[0, 1]) and torch.equal(actions[1, 0], actions[0, 1])
    model = system(replace(config, image_size=32))
    before = {name: value.clone() for name, value in model.named_parameters()}
    steps = train(model, data, 3.0, {"tokenizer": 2, "model": 2}, 1e-3, say=lambda text: None)
    assert all(count > 0 for count in steps.values())
    moved = {n.split(".")[0] for n, value in model.named_parameters() if not value.equal(before[n])}
    assert moved == {"tokenizer", model.part}
