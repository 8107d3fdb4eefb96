"""The report on worlds of features tells a world that obeys from one that does not."""

from dataclasses import replace

import torch
from plane_world import Plane

from wmlearn.data.clip import Clip
from wmlearn.evaluation.features import features_at, landscape, score_landscapes
from wmlearn.world import FeatureWorld


class Obeys(Plane, FeatureWorld):
    """The plane, whose true moves are ten units an action."""

    scale = 10.0

    def encode(self, frames):
        return frames[:, :, 0].float()  # [B, T, 1, 2]

    def step(self, state, action, generator=None):
        return super().step(state, self.scale * action, generator)


class Ignores(Obeys):
    scale = 0.0


class Inverts(Obeys):
    scale = -10.0


def clips(count=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    actions = (2 * torch.rand(count, 1, 2, generator=generator) - 1).mul(4).round() / 4
    first = torch.full((count, 1, 1, 1, 2), 100.0)
    frames = torch.cat([first, first + 10 * actions[:, :, None, None]], dim=1).round()
    return Clip(frames.byte(), actions=actions)


def test_errors_and_their_baselines():
    found = features_at(Obeys(), clips(), 1)
    assert found.error.value < 0.3 < found.copy.value and found.control.value > 1
    idle = features_at(Ignores(), clips(), 1)
    assert idle.error.value == idle.copy.value == idle.other.value and idle.gain.value == 0
    assert "copy" in str(found)


def test_the_lowest_point_of_a_landscape():
    clip = clips()[:1]
    good = landscape(Obeys(), clip)
    assert torch.equal(good.lowest, good.true) and good.below == 0
    assert good.energy.shape == (9, 9)
    swapped = landscape(Obeys(), clip, axes=(1, 0))
    assert torch.equal(swapped.energy, good.energy.T)
    bad = landscape(Inverts(), clip)
    assert torch.equal(bad.lowest, -bad.true) and bad.below > 0


def test_scores_over_clips():
    good, bad = (score_landscapes(world, clips()) for world in (Obeys(), Inverts()))
    assert good.distance.value < 0.05 and good.below.value < 0.01
    assert bad.distance.value > good.chance > 0.4
    assert replace(good, clips=2).clips == 2 and "chance" in str(good)
