"""Does a dream stay in its world? Worlds with known answers."""

from __future__ import annotations

import pytest
import torch
from fading_world import FadingWorld, landscapes

from wmlearn.data.clip import Clip
from wmlearn.data.likeness import Likeness
from wmlearn.evaluation.first_minute import first_minute, strips


@pytest.fixture(scope="module")
def likeness():
    return Likeness.of_frames(landscapes(2000, seed=0), landscapes(400, seed=1))


@pytest.fixture(scope="module")
def starts():
    return Clip(frames=landscapes(61, seed=7)[1:, None])


def test_a_world_that_one_key_empties_is_left(likeness, starts):
    """In s seconds of three keys each start keeps its level with probability (2/3)^s."""
    seen = first_minute(FadingWorld(), starts, likeness, fps=4, seconds=5)
    real = float((likeness(starts.frames[:, 0]) >= 1).float().mean())
    assert real > 0.85
    assert seen.played.value == pytest.approx(real * (2 / 3) ** 5, abs=0.12)
    assert seen.by_second[0] > 2 * seen.by_second[-1] and len(seen.by_second) == 5
    assert seen.idle.value == pytest.approx(real) and seen.still.value == 1
    assert (seen.played.n, seen.film.shape) == (60, (60, 21, 3, 32, 32))


def test_idle_hands_that_move_are_seen(likeness, starts):
    class Drifting(FadingWorld):
        idle = 0  # shifts the picture

    seen = first_minute(Drifting(), starts, likeness, fps=4, seconds=5)
    assert seen.still.value < 0.2 and seen.idle.value > 0.8


def test_a_frozen_world_passes_here_so_that_delta_psnr_must_be_asked_too(likeness, starts):
    class Frozen(FadingWorld):
        def step(self, state, action, generator=None):
            return super().step(state, torch.ones_like(action))

    seen = first_minute(Frozen(), starts, likeness, fps=4, seconds=5)
    assert seen.played.value > 0.85 and seen.still.value == 1


def test_the_same_seed_the_same_play(likeness, starts):
    first, second, other = (
        first_minute(FadingWorld(), starts, likeness, fps=4, seconds=3, seed=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(first.film, second.film) and not torch.equal(first.film, other.film)


def test_strips_show_every_so_manieth_frame(starts):
    film = starts.frames.expand(-1, 9, -1, -1, -1)
    assert strips(film, 4).size == (3 * 32, 60 * 32)
