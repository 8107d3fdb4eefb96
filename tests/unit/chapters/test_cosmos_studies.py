"""Chapter 8: the driver that learns in the dream, and what curation buys, at smoke size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch.testing import assert_close

from wmlearn.chapters.ch08_cosmos import clean
from wmlearn.chapters.ch08_cosmos.driving import DrivingProbe, drive_in_dream, road_meters
from wmlearn.chapters.ch08_cosmos.learned import (
    LEARNED,
    Habit,
    LinearPolicy,
    cloned,
    compare,
    dreamed_meters,
    features,
    free,
    learn,
    mirrored,
    real_returns,
)
from wmlearn.data.clip import Clip
from wmlearn.data.curation import make_raw
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.recipe import SMOKE


@pytest.fixture(scope="module")
def system():
    return Cosmos(replace(SMOKE, image_size=64))


def probe_of(seed: int = 0) -> DrivingProbe:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DrivingProbe().eval()


def starts(count: int) -> Clip:
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (count, 9, 3, 64, 64), generator=draw).byte()
    return Clip(frames, torch.rand(count, 8, 3, generator=draw))


def slide(seed: int, frames: int = 240, speed: float = 0.5) -> np.ndarray:
    """A window that slides over a picture of blobs: uint8 ``[T, 3, 64, 64]``."""
    rng = np.random.default_rng(seed)
    wide = 64 + int(frames * speed) + 2
    coarse = rng.uniform(0, 255, (3, 9, wide // 8 + 2))
    picture = np.repeat(np.repeat(coarse, 8, 1), 8, 2)[:, :64, :wide]
    begins = (np.arange(frames) * speed).astype(int)
    return np.stack([picture[:, :, b : b + 64] for b in begins]).astype(np.uint8)


def test_actions_of_a_linear_policy_stay_in_their_box():
    read = torch.randn(50, 4) * torch.tensor([20.0, 1, 1, 1])
    action = LinearPolicy(3 * torch.randn(3, 6)).act(read)
    low, high = torch.tensor([-1.0, 0, 0]), torch.tensor([1.0, 1, 0.7])
    assert ((action >= low) & (action <= high)).all() and action[:, 0].min() < 0
    gas = torch.zeros(3, 6)
    gas[1, 5] = 0.4  # the constant
    assert_close(LinearPolicy(gas).act(read)[:, 1], torch.full((50,), 0.4))
    assert features(read).shape == (50, 6)


def test_a_mirrored_policy_does_not_know_left_from_right():
    numbers = torch.randn(7, 6)
    read = torch.randn(50, 4) * torch.tensor([20.0, 1, 1, 1])
    mirror = read * torch.tensor([1.0, -1, -1, -1])
    for weights in mirrored(numbers):
        there, back = LinearPolicy(weights).act(read), LinearPolicy(weights).act(mirror)
        assert_close(back, there * torch.tensor([-1.0, 1, 1]))
        assert (there[:, 1] * there[:, 2] == 0).all()  # never gas and brake at once
    assert free(torch.arange(18.0))[2, 5] == 17


def test_a_clone_is_what_was_recorded():
    """Actions that stay within their bounds, of a policy that has the form: it is found again."""
    read = torch.randn(200, 4) * torch.tensor([10.0, 0.2, 0.1, 0.1])
    weights = mirrored(torch.tensor([0.5, -1, 0.7, 0.4, 0.2, -0.3]))
    wish = features(read) @ weights.T
    actions = wish.clamp(min=torch.tensor([-9.0, 0, 0]))  # gas and brake are the two halves
    assert_close(cloned(read, actions).weights, weights)


def test_a_dream_is_trusted_where_the_recording_went():
    read = torch.zeros(4000, 4)
    draw = torch.Generator().manual_seed(0)
    usual = torch.tensor([0.0, 0.5, 0.0])
    actions = usual + torch.tensor([0.3, 0.1, 0.0]) * torch.randn(4000, 3, generator=draw)
    habit = Habit.of(read, actions)
    assert_close(habit.spread[:2], torch.tensor([0.3, 0.1]), rtol=0.05, atol=0)
    habit = Habit(habit.clone, torch.tensor([0.3, 0.1, 0.2]))
    one = habit.clone.act(read[:1])
    assert_close(one[0], usual, rtol=0, atol=0.02)
    assert habit.trust(read[:1], one).item() == 1
    off = one + torch.tensor([0.7, 0.1, 0.2])  # a deviation of gas and of brake; any steering
    assert_close(habit.trust(read[:1], off), torch.tensor([np.exp(-1)]).float())


def test_distrust_makes_metres_worth_less(system):
    world, probe, weights = system.world(), probe_of(), torch.randn(3, 3, 6)
    near = Habit(LinearPolicy(weights[0]), torch.full((3,), 0.3))
    free_of_it = dreamed_meters(weights, probe, starts(2), world, 3)
    worth = dreamed_meters(weights, probe, starts(2), world, 3, habit=near)
    assert_close(worth[0], free_of_it[0])  # it does what is usual
    assert (worth <= free_of_it + 1e-4).all()


def test_many_policies_at_once_are_each_as_alone(system):
    """Of one policy and its start, what ``drive_in_dream`` gives."""
    world, probe, start = system.world(), probe_of(), starts(1)
    weights = torch.randn(1, 3, 6)
    alone = drive_in_dream(LinearPolicy(weights[0]), probe, start, world, 3, seed=4)
    together = dreamed_meters(weights, probe, start, world, 3, seed=4)
    assert_close(together, road_meters(alone.read(probe), to_the_end=False))
    assert dreamed_meters(torch.randn(4, 3, 6), probe, starts(2), world, 2).shape == (4,)


def test_the_search_moves_to_the_best(system, monkeypatch):
    """Metres that are the gas's constant: the search turns it up."""
    monkeypatch.setattr(
        "wmlearn.chapters.ch08_cosmos.learned.dreamed_meters",
        lambda weights, *rest: weights[:, 1, 5],
    )
    policy, history = learn(probe_of(), lambda rng: starts(1), system.world(), 4, 40, 5)
    assert policy.weights[1, 5] > 2 and history[-1] > history[0] + 1 and len(history) == 4


def test_a_search_goes_on_from_steering_that_was_found(system, monkeypatch):
    tried = []
    monkeypatch.setattr(
        "wmlearn.chapters.ch08_cosmos.learned.dreamed_meters",
        lambda weights, *rest: tried.append(weights) or weights[:, 1, 5],
    )
    found = torch.tensor([3.0, -4.0, 5.0])
    policy, _ = learn(probe_of(), lambda rng: starts(1), system.world(), 3, 40, steering=found)
    assert_close(tried[0].mean(0)[0, 1:4], found, rtol=0, atol=0.1)
    assert_close(policy.weights[0, 1:4], found, rtol=0, atol=0.5)
    assert policy.weights[1, 5] > 0.5


def test_real_returns_are_the_environments():
    pytest.importorskip("Box2D")
    still = real_returns(lambda env, rng: np.array([0, 0, 1.0], np.float32), [3, 4], frames=12)
    assert len(still) == 2
    assert still.mean().item() == pytest.approx(-2.4 + 1000 / 300 * 2, abs=20)
    seen = real_returns(LinearPolicy(torch.zeros(3, 6)), [3], probe_of(), frames=12)
    again = real_returns(LinearPolicy(torch.zeros(3, 6)), [3], probe_of(), frames=12)
    assert torch.equal(seen, again)


def test_drivers_are_compared_on_the_same_tracks(monkeypatch):
    """Returns that are a track's own and a driver's own: only the latter are left of a gain."""

    def returns(policy, seeds, probe=None):
        return 100.0 * torch.tensor(seeds, dtype=torch.float64) + (7.0 if probe else 0.0)

    monkeypatch.setattr("wmlearn.chapters.ch08_cosmos.learned.real_returns", returns)
    same = LinearPolicy(torch.zeros(3, 6))
    found = compare({"cloned": same, LEARNED: same}, probe_of(), [1, 2, 6])
    assert list(found["real return"]) == ["random", "cloned", LEARNED, "expert"]
    assert found["real return"][LEARNED].value == 307
    gain = found["above random"][LEARNED]
    assert gain.value == gain.low == gain.high == 7
    assert found["above the clone"][LEARNED].value == 0
    assert found["above the clone"]["expert"].value == -7
    assert found["lowest and highest return"] == [107, 607]


def test_curation_is_judged_on_what_is_known():
    raw = make_raw([slide(seed) for seed in range(6)], 40, 5, seed=0)
    scores = clean.judge(raw)
    assert set(scores) == {"cuts", "still", "fast", "overlay", "duplicates"}
    assert scores["cuts"]["recall"] > 0.9 and scores["still"]["f1"] > 0.9
    assert scores["fast"]["f1"] > 0.9 and scores["overlay"]["f1"] > 0.9
    assert scores["duplicates"]["precision"] > 0.9 and scores["duplicates"]["recall"] > 0.9
    parts = clean.corpora(raw)
    assert len(parts["curated"]) == len(parts["random"]) < len(parts["all"])
    assert parts["all"].shape[1:] == (17, 3, 64, 64)


def test_three_models_are_compared(system, tmp_path):
    space = Box(np.array([-1, 0, 0], np.float32), np.ones(3, np.float32))
    writer = EpisodeWriter(tmp_path / "data", space, (3, 64, 64), env="e", policy="p")
    for seed in range(6):
        writer.write(
            Episode(
                slide(seed, 160),
                np.zeros((159, 3), np.float32),
                np.zeros(159, np.float32),
                np.zeros(159, bool),
                np.arange(159) == 158,
            )
        )
    found = clean.study(
        system, EpisodeStore(tmp_path / "data"), 20, 2, 2, (0,), 2, say=lambda text: None
    )
    assert set(found["psnr"]) == {"curated", "random", "all"} == set(found["clips"])
    assert set(found["gain"]) == {"random", "all"} and found["seeds"] == 1
    gap = found["psnr"]["curated"].value - found["psnr"]["all"].value
    assert found["gain"]["all"].value == pytest.approx(gap, abs=1e-4)
