"""How like its training frames is a frame?"""

from __future__ import annotations

import pytest
import torch
from fading_world import landscapes

from wmlearn.data.likeness import PASSES, Likeness, describe


@pytest.fixture(scope="module")
def likeness():
    return Likeness.of_frames(landscapes(2000, seed=0), landscapes(400, seed=1))


def test_the_figures_of_a_picture_in_closed_form():
    frame = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    frame[:, :, :, 4:] = 255  # at half its size: 4 x 4 with one edge across, none down
    red, green, blue, *spread, across, down = describe(frame)[0].tolist()
    assert (red, green, blue) == pytest.approx((0.5, 0.5, 0.5))
    assert spread == pytest.approx([(16 * 0.25 / 15) ** 0.5] * 3)
    assert across == pytest.approx(1 / 3) and down == 0


def test_held_out_frames_pass_as_often_as_the_bar_says(likeness):
    share = (likeness(landscapes(1000, seed=2)) >= 1).float().mean().item()
    assert share == pytest.approx(PASSES, abs=0.03)


def test_an_empty_picture_fails_though_the_training_holds_some(likeness):
    """One training frame in a hundred is empty, so that the *nearest* one is at distance zero."""
    empty = landscapes(1, seed=3)
    assert torch.equal(empty[0], landscapes(1, seed=4)[0])
    place = (describe(empty) - likeness.mean) @ likeness.whiten
    assert torch.cdist(place, likeness.bank).min() < 0.1
    assert likeness(empty)[0] < 0.9


def test_foreign_pictures_are_unlike(likeness):
    noise = torch.randint(256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    inverted = 255 - landscapes(8, seed=5)[1:]
    assert likeness(noise.to(torch.uint8)).max() < 0.5
    assert likeness(inverted).max() < 1


def test_any_leading_axes(likeness):
    frames = landscapes(6, seed=6)
    assert torch.equal(likeness(frames.view(2, 3, 3, 32, 32)), likeness(frames).view(2, 3))
    assert likeness(frames[0]).shape == ()


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="100 training frames"):
        Likeness.of_frames(landscapes(99, seed=0), landscapes(50, seed=1))
