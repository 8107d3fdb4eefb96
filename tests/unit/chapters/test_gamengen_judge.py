"""The judge of DOOM's dreams: sharpness, flicker, numbers of the status bar, monsters in place."""

from __future__ import annotations

import pytest
import torch
from doom_labels import state
from torch.nn import functional as F

from wmlearn.chapters.ch05_gamengen.judge import (
    EnemyFinder,
    HudReader,
    enemies,
    flicker,
    gradient,
    in_place,
    still_pixels,
)


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=generator).byte()


def test_blur_lowers_the_gradient_and_grain_raises_it():
    frames = F.interpolate(noise(4, 3, 16, 16).float(), scale_factor=4).byte()
    soft = F.avg_pool2d(frames.float(), 5, 1, 2).byte()
    grainy = (frames.float() + 20 * torch.randn(frames.shape)).clamp(0, 255).byte()
    assert (gradient(soft) < gradient(frames)).all()
    assert (gradient(grainy) > gradient(frames)).all()
    flat = torch.full((1, 3, 8, 8), 7, dtype=torch.uint8)
    assert gradient(flat).item() == 0


def test_flicker_counts_only_what_should_stand_still():
    real = noise(2, 1, 3, 16, 16).repeat(1, 5, 1, 1, 1)
    real[:, :, :, :4] = noise(2, 5, 3, 4, 16, seed=1)  # moves in the real frames
    still = still_pixels(real)
    assert still[:, :, :, 4:].all() and not still[:, :, :, :4].all()
    dream = real.clone()
    dream[:, :, :, :4] = noise(2, 5, 3, 4, 16, seed=2)
    moves = still.clone()
    moves[:, :, :, :4] = False
    assert flicker(dream, moves).item() == 0
    dream[:, 1::2, :, 8] = (real[:, 1::2, :, 8].int() ^ 64).byte()
    assert flicker(dream, moves).item() == pytest.approx(64 / 12, rel=0.01)


def test_numbers_are_read_off_the_bar_and_not_off_the_view():
    bars = noise(5, 3, 16, 64)
    values = [26.0, 25.0, 7.0, 3.0, 0.0]
    frames, known = [], []
    for i, bar in enumerate(bars):
        for j in range(3):
            frame = noise(3, 64, 64, seed=10 * i + j + 100)
            frame[:, 48:] = bar
            frames.append(frame)
            known.append(state(ammo=values[i], health=values[i] * 3))
    reader = HudReader(torch.stack(frames), torch.stack(known))
    seen = noise(2, 5, 3, 64, 64, seed=77)
    seen[0, :, :, 48:] = bars
    seen[1, :, :, 48:] = bars.flip(0)
    read = reader.read(seen)
    assert read["ammo"][0].tolist() == values and read["ammo"][1].tolist() == values[::-1]
    assert read["health"][0].tolist() == [3 * value for value in values]


def test_monsters_that_are_a_speck_or_beside_the_view_do_not_count():
    known = state((32, 20, 6, 12), (10, 20, 2, 4), (70, 20, 10, 20), (32, 60, 10, 30))
    centres, seen = enemies(known)
    assert seen.tolist() == [True, False, False, False, False]
    assert centres[0].tolist() == [32, 20]


class Found(EnemyFinder):
    """Finds what it is told to find."""

    def __init__(self, *places):
        super().__init__()
        self.places = places

    def find(self, frames, least=0.5):
        import numpy as np

        return [np.array(p, dtype=float).reshape(-1, 2) for p in self.places]


def test_one_found_monster_answers_for_one_label_within_six_pixels():
    known = torch.stack(
        [state((20, 20, 6, 12), (24, 20, 6, 12)), state((20, 20, 6, 12)), state((20, 20, 6, 12))]
    )
    frames = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    right, count = in_place(Found([(21, 20)], [(26.5, 20)], [(24, 24)]), frames, known)
    assert right.tolist() == [1, 0, 1]
    assert count.tolist() == [2, 1, 1]
    none, count = in_place(Found([], [], []), frames, known)
    assert none.sum() == 0 and count.sum() == 4
