"""Chapter 8: worlds trained with and without hazard, and how forgiveness is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from wmlearn.chapters.ch08_cosmos import hazard
from wmlearn.chapters.ch08_cosmos.driving import POLICIES, Drives, DrivingProbe
from wmlearn.data.clip import Clip
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.recipe import LAPTOP


@pytest.fixture(scope="module")
def shipped():
    tokenizer = replace(LAPTOP.tokenizer, encoder_channels=(8,) * 3, decoder_channels=(8,) * 3)
    return Cosmos(replace(LAPTOP, tokenizer=tokenizer)).eval()


def test_a_dream_that_lets_who_leaves_the_road_drive_on_forgives():
    real = [torch.full((4,), 10.0 * k).double() for k in range(len(POLICIES))]
    names = list(POLICIES)
    free = [m + 50 * (name in hazard.OFF_ROAD) for m, name in zip(real, names, strict=True)]
    found = hazard.compare({"with hazard": [real, real], "without": [free, real]}, real, 76, 20)
    assert found["with hazard"]["spearman"].value == 1
    assert found["with hazard"]["metres too many of who leaves the road"].value == 0
    assert found["without"]["of each seed"][1] == 1 > found["without"]["of each seed"][0]
    assert found["forgives more without"].value == pytest.approx(25)  # the mean of two seeds


def test_a_small_world_keeps_the_tokenizer_and_learns(shipped):
    torch.manual_seed(0)
    latents, actions = torch.randn(2, 11, 8, 8, 8) * 0.5, torch.rand(2, 11, 12)
    world = hazard.small_world(shipped, latents, actions, steps=2, seed=1, batch=2)
    weights = zip(world.system.tokenizer.parameters(), shipped.tokenizer.parameters(), strict=True)
    assert all(torch.allclose(a.float(), b, atol=0.02) for a, b in weights)
    again = hazard.small_world(shipped, latents, actions, steps=2, seed=1, batch=2)
    pairs = zip(world.system.parameters(), again.system.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    start = Clip(torch.randint(256, (2, 17, 3, 64, 64)).byte(), torch.rand(2, 16, 3))
    empty = torch.zeros(2, 0)
    drives = [Drives(start[k : k + 1], empty, empty, empty, empty) for k in (0, 1)] * 4
    metres = hazard.dreamed(drives, DrivingProbe().eval(), world, 2, seed=0)
    assert len(metres) == len(POLICIES) and all(m.shape == (1,) for m in metres)
