"""The tracker's floor, and what it says of videos in which something is wrong on purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wmlearn.envs.scenes import draw, sample_scenes, simulate
from wmlearn.envs.scenes.captions import captions
from wmlearn.envs.scenes.violations import pass_through, recolor, vanish
from wmlearn.evaluation.captions import adherence
from wmlearn.evaluation.physics import (
    Truth,
    hidden,
    momentum,
    of_bodies,
    overlap,
    position_errors,
    seen,
    track,
    velocity_errors,
)


def clips(family: str, count: int = 24, seed: int = 0):
    state, touched = simulate(sample_scenes(count, np.random.default_rng(seed), family), 16)
    text = captions(state, touched, np.random.default_rng(seed + 1))
    state = torch.from_numpy(state)
    return state, draw(state), text, touched


def test_the_floor_is_a_twentieth_of_a_pixel():
    state, frames, _, _ = clips("two")
    tracks, truth = track(frames), Truth.of(state)
    position, velocity = position_errors(tracks, truth), velocity_errors(tracks, truth)
    assert float(position.nanmean()) < 0.06 and float(velocity.nanmean()) < 0.07
    assert float(seen(tracks, truth).nanmean()) == 1
    assert position[:, :, 2].isnan().all(), "there is no third body"
    found = of_bodies(tracks, truth)
    area = found.area[:, :, :2] / truth.mass[:, None, :2]
    assert area.sub(1).abs().mean() < 0.02 and area.sub(1).abs().max() < 0.15
    square = (truth.shape[:, None, :2] == 1).expand_as(area)
    fill = found.fill[:, :, :2]
    assert fill[square].min() > 0.93 and fill[~square].max() < 0.88


def test_a_shift_of_the_picture_is_the_error():
    state, frames, _, _ = clips("one")
    moved = frames.roll(3, dims=-1)
    inside = (state[..., 1] + state[..., 5] < 60)[..., None]
    error = position_errors(track(moved), Truth.of(state))[..., :1]
    assert error[inside].nanmean().item() == pytest.approx(3, abs=0.1)


def test_what_vanishes_or_changes_color_is_not_seen():
    state, _, _, _ = clips("one")
    for wrong in (vanish, recolor):
        tracks = track(draw(torch.from_numpy(wrong(state.numpy(), 8))))
        shown = seen(tracks, Truth.of(state))[..., 0]
        assert float(shown[:, :8].mean()) == 1 and float(shown[:, 8:].mean()) == 0


def test_bodies_in_each_other_are_measured():
    state, frames, _, touched = clips("hit", 60)
    truth = Truth.of(state)
    met = torch.from_numpy(touched[:, :, 0, 1].any(1))
    assert overlap(track(frames), truth)[met].nan_to_num().max() < 0.2
    through = torch.from_numpy(pass_through(state.numpy(), 0))
    deep = overlap(track(draw(through)), Truth.of(through))[met].nan_to_num().amax(1)
    assert deep.median() > 1.5


def test_momentum_of_true_velocities_is_kept_in_a_collision():
    state, _, _, touched = clips("hit", 60)
    truth = Truth.of(state)
    total = momentum(truth.velocity, truth.mass, truth.there)
    wall = torch.from_numpy(touched[:, :, 3].any((1, 2)))
    change = (total[:, -1] - total[:, 0]).norm(dim=-1)
    assert change[~wall].max() < 1e-2 < change[wall].max()


def test_hidden_is_wholly_behind_the_bar():
    state, frames, _, _ = clips("bar", 60)
    truth = Truth.of(state)
    behind = hidden(truth, state[..., -2:])
    assert behind.any(1).float().mean() > 0.3
    area = of_bodies(track(frames), truth).area[..., 0]
    assert area[behind].max() == 0


def test_adherence_of_real_videos_is_the_ceiling_and_of_others_chance():
    _, frames, text, _ = clips("two", 40)
    found = adherence(frames, text, frames)
    assert found.prompts == 40 and found.ceiling["all"] == found.shown["all"]
    for name, share in found.shown.items():
        assert share.value > 0.85, name
        assert found.chance[name].value < 0.5 and share.n >= 10
    assert found.shown["color"].value == 1
    still = frames[:, :1].expand_as(frames)
    frozen = adherence(still, text)
    assert frozen.shown["motion"].value == 0 and frozen.shown["color"].value == 1


def test_an_empty_video_shows_nothing():
    _, frames, text, _ = clips("one", 6)
    found = adherence(torch.full_like(frames, 24), text)
    assert all(share.value == 0 for share in found.shown.values())
    assert not math.isnan(found.shown["all"].value)
