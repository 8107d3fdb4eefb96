"""Figures: they show what they say, fit into a notebook, and read on white and on black."""

from __future__ import annotations

import base64
import io
import re

import matplotlib as mpl
import pytest
import torch
from PIL import Image

from wmlearn import viz
from wmlearn.evaluation.card import (
    ControlAt,
    Controllability,
    Curve,
    EvaluationCard,
    Fidelity,
    FidelityAt,
    Measure,
    PolicyReturn,
    Probe,
    Utility,
)
from wmlearn.evaluation.figures import horizon_curve
from wmlearn.metrics import Estimate


@pytest.fixture(scope="module")
def film() -> tuple[torch.Tensor, torch.Tensor]:
    """The worst case for compression: noise."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, 16, 3, 64, 64)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).unbind(0)


@pytest.fixture(scope="module")
def card() -> EvaluationCard:
    some = Estimate(25.0, 24.0, 26.0)
    low = Estimate(20.0, 19.0, 21.0)
    at = FidelityAt(8, 12, 6, 0, some, low, Estimate(5.0), (Measure("SSIM", some, low),))
    share = Estimate(0.5, 0.4, 0.6)
    return EvaluationCard(
        name="a world",
        environment="my/game",
        policy="random",
        held_out=6,
        context_frames=4,
        seeds=(0, 1),
        left_out=(),
        fidelity=Fidelity(
            "PSNR",
            "dB",
            True,
            "copy last frame",
            (at,),
            Curve(12, (some,) * 8, (low,) * 8, (low,) * 8),
        ),
        controllability=Controllability(
            (ControlAt(8, 12, low, Estimate(5.0)),), Probe(9, 96, share, share, share, share)
        ),
        utility=Utility("my/game", 9, (PolicyReturn("dreamer", some), PolicyReturn("random", low))),
    )


def decoded(shown) -> Image.Image:
    """The image that a notebook would draw."""
    html = shown._repr_mimebundle_()["text/html"]
    mime, data = re.search(r'src="data:(image/\w+);base64,([^"]+)"', html).groups()
    content = base64.b64decode(data)
    assert len(content) <= viz.MAX_BYTES, f"{len(content)} bytes"
    image = Image.open(io.BytesIO(content))
    assert image.get_format_mimetype() == mime
    return image


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_colors_stand_out_on_light_and_dark(page):
    for color in (viz.REAL, viz.DREAM, viz.NEUTRAL):
        assert contrast(color, page) >= 3
    assert contrast(viz.NEUTRAL, page) >= 4


def test_every_figure_shows_itself_with_alt_text(film, card):
    real, dream = film
    figures = {
        "Real frames above dreamed frames at steps 1, 3, 5": viz.filmstrip(real, dream),
        "under left and right, at steps 1 and 4": viz.counterfactual_strip(
            {"left": real, "right": dream}, real[0], [1, 4]
        ),
        "loss from 3 to 1. copy last frame: 2": viz.loss_curve([3, 2, 1], 2.0),
        "three rows": viz.strip(
            {"real": real[:3], "dream": dream[:3]}, list("abc"), alt="three rows"
        ),
        "dB over steps: a from 1 to 2": viz.curves({"a": [1, 2]}, xlabel="steps", ylabel="dB"),
        "25.0 dB at horizon 8 (copy last frame 20.0)": horizon_curve(card).still,
        "dreamer 25 and random 20": card.figure(),
    }
    for words, figure in figures.items():
        assert words in figure.alt
        bundle = figure._repr_mimebundle_()
        assert bundle["text/plain"] == figure.alt
        assert f'alt="{figure.alt}"' in bundle["text/html"]
        image = decoded(figure).convert("RGBA")
        assert image.width >= 300
        alpha = image.getchannel("A")
        assert alpha.getpixel((1, 1)) == 0  # the page shines through
        assert alpha.getextrema()[1] == 255


def test_alt_text_is_escaped():
    html = viz.loss_curve([1, 2], alt='"a" <b>').html()
    assert "<b>" not in html and "&quot;a&quot; &lt;b&gt;" in html


def test_filmstrip_shows_the_chosen_frames_and_their_difference(film):
    real, dream = film
    strip = viz.filmstrip(real, dream, [2, 16])
    shown = [[axis.images[0].get_array() for axis in row] for row in _rows(strip, 3)]
    for column, frame in enumerate((1, 15)):
        wanted = (real[frame], dream[frame], (real[frame].int() - dream[frame].int()).abs())
        for row, picture in enumerate(wanted):
            assert torch.equal(
                torch.as_tensor(shown[row][column]), picture.permute(1, 2, 0).to(torch.uint8)
            )
    labels = [row[0].get_ylabel() for row in _rows(strip, 3)]
    assert labels == ["real", "dream", "difference"]
    assert [axis.get_title(loc="center") for axis in _rows(strip, 3)[0]] == ["step 2", "16"]
    assert len(viz.filmstrip(real, dream, difference=False).figure.axes) == 2 * 8
    assert viz.filmstrip(real[:, :1], dream[:, :1]).html()  # gray


def _rows(strip: viz.Figure, rows: int) -> list[list]:
    axes = strip.figure.axes
    return [axes[i * len(axes) // rows : (i + 1) * len(axes) // rows] for i in range(rows)]


def test_frames_of_the_wrong_kind_are_refused(film):
    real, dream = film
    with pytest.raises(ValueError, match="not a batch"):
        viz.filmstrip(real[None], dream[None])
    with pytest.raises(ValueError, match="uint8"):
        viz.gif(real.float())
    with pytest.raises(ValueError, match="one shape"):
        viz.side_by_side(real, dream[:3])
    with pytest.raises(ValueError, match="between 1 and 16"):
        viz.filmstrip(real, dream, [0, 1])
    with pytest.raises(ValueError, match="same number"):
        viz.counterfactual_strip({"a": real, "b": dream[:3]})
    with pytest.raises(ValueError, match="one length"):
        viz.strip({"a": real}, ["one title"], alt="")


def test_horizon_curve_draws_the_card(card):
    shown = horizon_curve(card)
    bands = [trace for trace in shown.figure.data if trace.fill == "toself"]
    lines = {trace.name: trace for trace in shown.figure.data if trace.name}
    assert set(lines) == {"dream", "dream, other actions", "copy last frame"} and len(bands) == 3
    assert list(lines["dream"].y) == [25.0] * 8 and list(lines["dream"].x) == list(range(1, 9))
    assert lines["dream"].line.color == viz.DREAM and max(bands[0].y) == 26
    axes = shown.still.figure.axes[0]
    assert [line.get_label() for line in axes.lines] == list(lines)
    assert axes.lines[0].get_ydata().tolist() == [25.0] * 8 and len(axes.collections) == 3
    assert shown.rows[7] == [8, "25 [24, 26]", "20 [19, 21]", "20 [19, 21]"]


def test_animation_is_written_and_shown(film, tmp_path):
    both = viz.side_by_side(*film, scale=2)
    assert both.shape == (16, 3, 64 * 2 + 18, 2 * 64 * 2 + 4)
    assert torch.equal(both[:, :, 18:, :128:2][:, :, ::2], film[0])
    assert torch.equal(both[:, :, 18:, 132::2][:, :, ::2], film[1])
    corner = "#%02x%02x%02x"
    assert corner % tuple(both[0, :, 0, 0].tolist()) == viz.REAL
    assert corner % tuple(both[0, :, 0, -1].tolist()) == viz.DREAM

    quiet = (both // 64) * 64
    shown = viz.gif(quiet[:6], tmp_path / "new" / "film.gif", fps=10, alt="noise")
    with Image.open(tmp_path / "new" / "film.gif") as image:
        assert image.n_frames == 6 and image.info["duration"] == 100
        assert image.size == (both.shape[-1], both.shape[-2])
    image = decoded(shown)
    assert image.n_frames == 6 and image.is_animated
    with pytest.raises(ValueError, match=r"\.gif or \.webp"):
        viz.gif(both, tmp_path / "film.avi")


def test_figures_are_saved_reproducibly(tmp_path):
    for name in ("one.svg", "two.svg"):
        viz.loss_curve([3, 2, 1], 2.0).save(tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    assert "loss from 3 to 1" in text  # alt text travels with the file
    for kind in ("png", "webp", "pdf"):
        assert viz.loss_curve([1, 2]).save(tmp_path / f"x.{kind}").stat().st_size > 500
    with pytest.raises(ValueError, match="png"):
        viz.loss_curve([1, 2]).save(tmp_path / "x.gif")


def test_style_ends_with_its_block():
    before = mpl.rcParams["text.color"]
    with viz.style():
        assert mpl.rcParams["text.color"] == viz.NEUTRAL
    assert mpl.rcParams["text.color"] == before
