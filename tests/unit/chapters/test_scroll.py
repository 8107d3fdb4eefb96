"""How the view moves, on pictures that were shifted by hand and in worlds that shift them."""

from __future__ import annotations

import gymnasium
import pytest
import torch

from wmlearn.chapters.ch09_genie.scroll import MOTIONS, classify_motion, same_motion, scroll
from wmlearn.data.clip import Clip
from wmlearn.world import Step, World


@pytest.fixture
def landscape() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8, generator=generator)


def view(landscape: torch.Tensor, x: int, y: int) -> torch.Tensor:
    return landscape[..., 32 + y : 64 + y, 32 + x : 64 + x]


@pytest.mark.parametrize("x, y", [(0, 0), (3, 0), (-5, 0), (0, -19), (2, 7), (-12, 24)])
def test_the_shift_that_was_made_is_found(landscape, x, y):
    assert scroll(view(landscape, 0, 0), view(landscape, x, y)).tolist() == [[x, y]]


def test_of_equal_shifts_the_shortest_counts():
    flat = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert scroll(flat, flat).tolist() == [[0, 0]]


def test_films_are_named_by_their_mean_motion(landscape):
    films = [[(0, 0), (2, 0), (4, 0)], [(0, 0), (0, -9), (0, -14)], [(0, 0), (1, 0), (1, 0)]]
    films = torch.cat([torch.stack([view(landscape, *at) for at in film], 1) for film in films])
    assert [MOTIONS[i] for i in classify_motion(films)] == ["right", "up", "still"]


class Scroller(World):
    """Action 0 goes right in every level; action 1 goes left in the first and stands elsewhere."""

    context_frames = 1
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, context: Clip) -> torch.Tensor:
        return context.frames[:, 0]

    def step(self, state, action, generator=None):
        right, left = state.roll(-2, -1), state.roll(2, -1)
        left[1:] = state[1:]
        frame = torch.where((action == 0)[:, None, None, None], right, left)
        nothing = torch.zeros(len(frame))
        return frame, Step(frame, nothing, nothing > 0)


def test_one_action_is_one_motion_only_if_it_is_in_every_level():
    generator = torch.Generator().manual_seed(1)
    starts = torch.randint(0, 256, (4, 1, 3, 32, 32), dtype=torch.uint8, generator=generator)
    found = same_motion(Scroller(), Clip(starts))
    assert found.usual == ("right", "still")
    assert found.share.tolist() == [1.0, 0.75]
