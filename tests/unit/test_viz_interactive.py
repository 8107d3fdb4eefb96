"""Figures to turn and to point at: they show the data, need no network, and say it in words too."""

from __future__ import annotations

import json
import re

import pytest

from wmlearn import viz

pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def hill():
    """Heights x + 10 y over 3 x 4 places: the two axes cannot be confused."""
    x, y = [-1.0, 0.0, 1.0], [0.0, 1.0, 2.0, 3.0]
    return viz.surface(
        [[a + 10 * b for b in y] for a in x],
        x,
        y,
        xlabel="x",
        ylabel="y",
        zlabel="energy",
        points={"true": viz.Point(1.1, 2.8, viz.REAL), "lowest": viz.Point(-1, 0)},
        alt='A "hill" <of> energy.',
    )


@pytest.fixture(scope="module")
def curves():
    close = viz.Line([30, 20.123456, 10], [29, 19, 9], [31, 21, 11])
    return viz.lines(
        {"dream": close, "copy": viz.Line([9, 8, 7], color=viz.NEUTRAL, dash="dash")},
        xlabel="steps",
        ylabel="PSNR (dB)",
    )


def bundle(shown) -> dict:
    return shown._repr_mimebundle_()


def drawn(shown) -> dict:
    """The figure as a notebook stores it."""
    return json.loads(json.dumps(bundle(shown)["application/vnd.plotly.v1+json"]))


def test_the_surface_has_the_heights_where_they_belong(hill):
    surface, true, lowest = drawn(hill)["data"]
    assert surface["z"][3][2] == 31 and surface["x"][2] == 1 and surface["y"][3] == 3
    assert (true["name"], true["z"], true["marker"]["color"]) == ("true", [31, 35.8], viz.REAL)
    assert (lowest["z"][0], lowest["marker"]["color"]) == (-1, viz.DREAM)
    assert hill.rows[2][:5] == [1.0, 1.0, 11.0, 21.0, 31.0]


def test_lines_have_bands_and_few_digits(curves):
    band, dream, copy = drawn(curves)["data"]
    assert band["y"] == [31, 21, 11, 9, 19, 29] and band["x"] == [1, 2, 3, 3, 2, 1]
    assert dream["y"] == [30, 20.12, 10] and dream["line"]["color"] == viz.DREAM
    assert copy["line"] == {"color": viz.NEUTRAL, "dash": "dash", "width": 2}
    assert curves.rows[1] == [2, "20.12 [19, 21]", "8"]
    assert curves.alt == "PSNR (dB) over steps: dream from 30 to 10 and copy from 9 to 7."


def test_what_is_stored_is_small_clear_and_asks_no_server(hill, curves):
    for shown in (hill, curves):
        stored = json.dumps(bundle(shown)) + shown.table()
        assert len(stored) < 60_000
        assert not re.search(r"https?://|<script", stored)
        assert "bdata" not in stored  # plain numbers, that any version draws
        layout = drawn(shown)["layout"]["template"]["layout"]
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
        assert layout["font"]["color"] == viz.NEUTRAL


def test_words_and_numbers_stand_below_and_a_picture_stands_in(hill):
    assert "A &quot;hill&quot; &lt;of&gt; energy." in hill.table()
    assert '<th scope="row">1.0</th><td>1.0</td><td>11.0</td>' in hill.table()
    found = bundle(hill)
    assert found["text/plain"] == repr(hill) == hill.alt
    assert found["text/html"].startswith('<img alt="A &quot;hill&quot; &lt;of&gt; energy."')


def test_a_notebook_gets_the_figure_and_then_the_table(curves, monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", lambda what, raw=False: shown.append((what, raw)))
    curves._ipython_display_()
    (figure, raw), (table, _) = shown
    assert raw and "application/vnd.plotly.v1+json" in figure
    assert table.data == curves.table()


def test_figures_are_saved_to_turn_or_as_a_picture(hill, tmp_path):
    page = hill.save(tmp_path / "new" / "hill.html").read_text(encoding="utf-8")
    assert "cdn.plot" not in page.split("<body>")[1][:2000] and len(page) > 1e6
    assert hill.save(tmp_path / "hill.png").stat().st_size > 500


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="one length"):
        viz.lines({"a": viz.Line([1]), "b": viz.Line([1, 2])}, xlabel="", ylabel="")
    with pytest.raises(ValueError, match=r"heights must be \[1\]\[2\]"):
        viz.surface([[1]], [0], [0, 1], xlabel="", ylabel="", zlabel="", alt="")
