"""Clips that end in a real fall: what they are made of, at a size for a test."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from wmlearn.chapters.ch09_genie import landing
from wmlearn.chapters.ch09_genie.ship import CONFIG, FIRST
from wmlearn.systems.genie.dynamics import Dynamics

SKY, SPACE = 0, 40
SMALL = replace(CONFIG, dim=16, depth=1, heads=2, window=3)
JUMP = (0.5, 0.5, 0.7, 0.9, 0.95, 0.8, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5)  # share of sky, by frame
PRESSED = (7, 7, 3, 3, 3, 4, 4, 4, 7, 7, 7, 7)


@pytest.fixture
def recording() -> tuple[torch.Tensor, torch.Tensor]:
    """Jumps, all alike but for a number of their own in each of their frames' last place."""
    sky = torch.tensor(JUMP * 12)
    tokens = (torch.arange(SPACE) >= sky[:, None] * SPACE).long()
    tokens[:, -1] = 2 + torch.arange(len(sky)) // len(JUMP)
    codes = torch.tensor(PRESSED * 12)
    codes[0] = codes[len(JUMP) * 6] = FIRST
    return tokens, codes


def test_a_clip_ends_in_a_true_fall(recording):
    """From a top of the recording down, whatever stands before and is pressed."""
    draw = landing.Landings(*recording, SKY, seed=1)
    tokens, codes, kind = draw(60)
    assert tokens.shape == (60, 14, SPACE) and codes.shape == (60, 13)
    assert (kind[:, 0] == 0).all() and (kind[:, 9:] == 2).all()
    fall = (tokens[:, 9:] == SKY).float().mean(2)
    real = [torch.tensor((JUMP * 3)[i : i + 5]) for i in range(12)]
    assert all(any(torch.allclose(f, r, atol=0.02) for r in real) for f in fall)
    spliced = (kind[:, 1:9] == 0).any(1)
    assert 10 < spliced.sum() < 50
    before = (tokens[spliced, 8] == SKY).float().mean(1)
    assert (before > 0.9).all()  # nothing but sky, and then the fall
    assert (fall[spliced, 0] < 0.85).all()
    held = codes[spliced, 7] == codes[spliced, 8]
    assert held.any() and not held.all()


def test_a_dream_stands_before_the_fall(recording):
    draw = landing.Landings(*recording, SKY, seed=1)
    draw.dreams = landing.Dreams(torch.full((1, 9, SPACE), 77), torch.full((1, 9), 5))
    tokens, codes, kind = draw(60)
    own = (tokens[:, :9] == 77).all((1, 2))
    assert 10 < own.sum() < 40
    assert (kind[own, :9] == 0).all() and (codes[own, :8] == 5).all()


def test_nothing_is_asked_where_nothing_is_to_be_learned():
    torch.manual_seed(0)
    kind = torch.tensor([0, 1, 2]).repeat(400, 1)
    mask = landing.landing_mask(kind, 20).float().mean((0, 2))
    assert mask[0] == 0 and 0.2 < mask[1] < 0.4 and 0.5 < mask[2] < 0.7


def test_it_trains_and_dreams(recording):
    """A few seconds on repeated jumps: after an empty sky the ground is named better."""
    torch.manual_seed(0)
    tokens, codes = recording
    model = Dynamics(SMALL, vocabulary=20, action_dim=4, space=SPACE)
    vectors = torch.randn(8, 4)
    draw = landing.Landings(tokens, codes, SKY)

    def loss(of: Dynamics) -> float:
        torch.manual_seed(5)
        draw = landing.Landings(tokens, codes, SKY, seed=9)
        with torch.no_grad():
            return float(landing.landing_loss(of, vectors, draw, 40))

    before = loss(model)
    trained, steps = landing.train(model, vectors, tokens, codes, draw, 1.5, dreams=2)
    assert steps > 5 and loss(trained) < before
    assert draw.dreams.tokens.shape[1:] == (9, SPACE)  # of none, here: it has never seen a sky
