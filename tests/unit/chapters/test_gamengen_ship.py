"""How chapter 5's checkpoint is trained: windows, dreams with a past of their own, the decoder."""

from dataclasses import replace

import pytest
import torch
from doom_latents import latents

from wmlearn.chapters.ch05_gamengen.ship import texture_errors
from wmlearn.chapters.ch05_gamengen.ship_denoiser import (
    OwnPast,
    Windows,
    enemy_cells,
    fit,
)
from wmlearn.envs.doom import HUD_STATE
from wmlearn.systems.gamengen.recipe import SMOKE
from wmlearn.systems.gamengen.system import GameNGen


def windows(n=2, **options):
    return Windows(latents((30, 20)), n, generator=torch.Generator().manual_seed(1), **options)


def test_windows_stay_within_an_episode_and_begin_standing_still():
    data, w = latents((30, 20)), windows()
    drawn, actions, *_ = w(torch.tensor([31, 10]))
    assert torch.equal(drawn[0], data.latents[[30, 30, 31]].float())
    assert actions[0, 0] == 0 and actions[0, 1] == data.actions[31]
    assert torch.equal(drawn[1], data.latents[8:11].float())
    assert torch.equal(actions[1], data.actions[9:11])
    assert not {0, 30} & set(w.draw(500).tolist())  # an episode's first frame follows nothing


def test_weights_look_at_the_last_context_frame_only():
    w = windows(enemies=10.0, bar=2.0, rest=0.5)
    weight = w(torch.tensor([6, 9, 5]))[-1]
    assert weight[0, 0, 2, 3] == 10.5 and weight[0, 0, 0, 0] == 0.5 and weight[0, 0, 7, 0] == 2.5
    assert weight[1, 0, 2, 3] == 0.5  # frame 8 shows none
    assert weight[2, 0, 2, 3] == 0.5  # what frame 5 will show is not looked at


def test_frames_after_a_monster_are_drawn_most():
    w = windows(enemies=10.0)
    drawn = w.draw(400)
    assert ((drawn >= 6) & (drawn <= 8)).float().mean() > 0.7


def test_a_past_of_its_own_holds_what_was_drawn_until_it_is_too_old():
    w = windows()
    dreams = OwnPast(w, 6)
    assert torch.equal(dreams.past, w(dreams.last)[0][:, :-1])
    dreams.limit = torch.full((6,), 3)
    for i in range(1, 6):
        before = dreams.last
        dreams.step(torch.full((6, 4, 8, 8), float(i)), longest=4)
        goes_on = dreams.last == before + 1
        own = (dreams.past[:, -1] == i).flatten(1).all(1)
        assert (own <= goes_on).all() and (dreams.age < dreams.limit.clamp(min=4)).all()
        real = w(dreams.last)[0][:, :-1]
        assert torch.equal(dreams.past[~own][:, -1], real[~own][:, -1])


def test_training_goes_on_where_it_was(tmp_path):
    system = GameNGen(replace(SMOKE, image_size=32))
    file = tmp_path / "denoiser.pt"
    options = dict(seconds=1e6, batch=2, own=2, rate=1e-3)
    fit(system, windows(), file, max_steps=2, **options)
    assert torch.load(file, weights_only=True)["step"] == 2
    fit(system, windows(), file, max_steps=3, **options)
    assert torch.load(file, weights_only=True)["step"] == 3


def test_cells_of_a_monster_are_those_at_its_box():
    state = torch.zeros(2, len(HUD_STATE))
    first = HUD_STATE.index("enemy0_x")
    state[1, first : first + 4] = torch.tensor([0.5, 0.25, 0.125, 0.25])
    cells = enemy_cells(state, 16, margin=0.0)
    assert not cells[0].any()
    rows, columns = cells[1].nonzero(as_tuple=True)
    assert set(rows.tolist()) == {2, 3, 4, 5} and set(columns.tolist()) == {7, 8}


def test_texture_wants_grain_wherever_it_stands():
    draw = torch.Generator().manual_seed(0)
    real = torch.randn(1, 3, 16, 16, generator=draw)
    other = torch.randn(1, 3, 16, 16, generator=draw)
    flat = torch.zeros_like(real)
    assert texture_errors(real, real).item() == pytest.approx(0)
    assert texture_errors(other, real) < 0.3 * texture_errors(flat, real)
