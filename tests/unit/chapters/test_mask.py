"""The mask playground: the error that it shows, its still picture, and its answers."""

from __future__ import annotations

import pytest
import torch

from wmlearn import viz
from wmlearn.chapters.ch11_vjepa.mask import (
    center_block,
    mask_error,
    mask_figure,
    paint,
    playground,
)
from wmlearn.data.clip import Clip
from wmlearn.systems.vjepa import VJEPA
from wmlearn.systems.vjepa.recipe import SMOKE


@pytest.fixture(scope="module")
def system():
    return VJEPA(SMOKE).eval()


@pytest.fixture(scope="module")
def clips():
    generator = torch.Generator().manual_seed(0)
    return Clip(torch.randint(0, 256, (2, 15, 3, 64, 64), generator=generator).byte())


def test_the_error_stands_where_something_is_hidden_and_is_the_training_loss_there(system, clips):
    hidden = center_block(system)
    time = system.config.encoder.grid[0]
    found = mask_error(system, clips[:1], hidden)
    assert torch.equal(found.places.isnan(), ~hidden.expand(time, -1, -1))
    assert found.places.nanmean().item() == pytest.approx(found.mean, rel=1e-5)
    numbers = hidden.flatten().repeat(time)
    inside, outside = (x.nonzero()[:, 0][None] for x in (numbers, ~numbers))
    patches = system.encoder.cut(system.video(clips[:1]))
    with torch.no_grad():
        guess, target = system.guess(patches, outside, inside), system.target(patches)
    loss = (guess - target[:, inside[0]]).abs().mean()
    assert found.mean == pytest.approx(float(loss), rel=1e-5)


def test_a_perfect_predictor_has_no_error(system, clips, monkeypatch):
    monkeypatch.setattr(
        system, "guess", lambda patches, seen, hidden: system.target(patches)[:, hidden[0]]
    )
    found = mask_error(system, clips[:1], center_block(system))
    assert found.mean == 0 and found.baseline > 0


def test_a_mask_must_leave_something_on_both_sides(system, clips):
    _, height, width = system.config.encoder.grid
    for nothing in (torch.zeros(height, width), torch.ones(height, width)):
        with pytest.raises(ValueError, match="at least one place"):
            mask_error(system, clips, nothing.bool())
    with pytest.raises(ValueError, match="The mask must be"):
        mask_error(system, clips, torch.ones(2, 3).bool())


def test_paint_covers_whole_places():
    frames = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    painted = paint(frames, torch.tensor([[[1.0, 0.0], [0.0, 0.5]]]), "#ff0000", 1.0)
    assert painted[0, 0].tolist() == [[255, 255, 0, 0]] * 2 + [[0, 0, 128, 128]] * 2
    assert not painted[0, 1:].any()


def test_the_still_picture_says_what_it_shows(system, clips):
    figure = mask_figure(system, clips[:1])
    hidden = center_block(system)
    assert isinstance(figure, viz.Figure)
    assert f"{int(hidden.sum())} of {hidden.numel()} places hidden" in figure.alt


def test_the_widget_answers_with_errors_or_with_a_sentence(system, clips, monkeypatch):
    pytest.importorskip("anywidget")
    widget, sent = playground(system, clips), []
    monkeypatch.setattr(widget, "send", lambda message, buffers: sent.append((message, buffers)))
    hidden = widget.config["hidden"]
    widget.answer({"clip": 1, "hidden": hidden, "id": 7})
    widget.answer({"clip": 0, "hidden": [0] * len(hidden), "id": 8})
    (good, [frames]), (bad, _) = sent
    expected = mask_error(system, clips[1:], torch.tensor(hidden).view(center_block(system).shape))
    assert (good["id"], good["clip"]) == (7, 1)
    assert good["mean"] == pytest.approx(expected.mean)
    assert sum(error >= 0 for error in good["places"]) == sum(hidden) * widget.config["grid"][0]
    assert len(frames) == widget.config["frames"] * 64 * 64 * 3
    assert "at least one place" in bad["note"] and "places" not in bad


def test_without_widgets_there_is_a_still_picture(system, clips, monkeypatch):
    monkeypatch.setattr("sys.platform", "emscripten")
    assert isinstance(playground(system, clips), viz.Figure)
