"""The level that is drawn by hand: as text, as a frame, and in the widget."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from wmlearn.chapters.ch09_genie import sketch
from wmlearn.chapters.ch09_genie.sketch import GRID, LEVEL, TILES, as_clip, paint, rows, to_level
from wmlearn.player.page import script

ROOF = "\n".join(["#" * GRID] + ["." * GRID] * (GRID - 1))


def test_a_level_becomes_a_frame_with_the_hero_in_the_middle():
    frame = paint(LEVEL)
    assert frame.shape == (3, 64, 64) and frame.dtype == torch.uint8
    assert torch.equal(frame, paint(LEVEL.split())), "lines or one text, twice the same"
    empty = paint(["." * GRID] * GRID)
    ys, xs = (empty.sum(0) > 0).nonzero().unbind(1)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (29, 34, 30, 33)


def test_turf_grows_on_stone_below_air_only():
    turf = torch.tensor([0xC5, 0x8F, 0x5C], dtype=torch.uint8)[:, None]
    frame = paint(["." * GRID] + ["#" * GRID] * (GRID - 1))
    assert torch.equal(frame[:, 5], turf.expand(-1, 64))
    assert not torch.equal(frame[:, 10], turf.expand(-1, 64))
    assert not torch.equal(paint(ROOF)[:, 0], turf.expand(-1, 64)), "above the picture is no air"


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_every_tile_looks_different_and_is_read_back(tile):
    level = rows(LEVEL)
    level[2] = "." * 5 + tile.sign + "." * 7
    assert to_level(paint(level)).split() == level
    others = [
        paint(level[:2] + [level[2].replace(tile.sign, t.sign, 1)] + level[3:]) for t in TILES
    ]
    assert len({frame.numpy().tobytes() for frame in others}) == len(TILES)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("...", "13 lines of 13 signs"),
        (["." * 13] * 12 + ["." * 12], "13 lines of 13 signs"),
        (["." * 13] * 12 + ["x" * 13], "no sign 'x'"),
    ],
)
def test_a_wrong_level_gets_one_clear_sentence(level, words):
    with pytest.raises(ValueError, match=words):
        paint(level)


def test_a_frame_is_a_context_without_actions():
    clip = as_clip(paint())
    assert clip.frames.shape == (1, 1, 3, 64, 64) and clip.actions is None


class TestWidget:
    @pytest.fixture
    def widget(self):
        pytest.importorskip("anywidget")
        return sketch.Sketch()

    def test_the_picture_follows_what_is_drawn(self, widget):
        before = widget.picture
        drawn = rows(LEVEL)
        drawn[0] = "o" * GRID
        widget.level = "\n".join(drawn)
        assert widget.picture != before
        shown = np.asarray(Image.open(io.BytesIO(widget.picture)))
        assert np.array_equal(shown, widget.frame.permute(1, 2, 0).numpy())
        assert torch.equal(widget.clip.frames[0, 0], paint(drawn))

    def test_nonsense_from_the_page_is_refused(self, widget):
        with pytest.raises(ValueError, match="13 lines"):
            widget.level = "...."
        assert rows(widget.level) == rows(LEVEL)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_editor_paints_by_mouse_and_by_keyboard(tmp_path):
    """The JavaScript in node, against the few things of a page that it uses."""
    config = {
        "tiles": [[tile.sign, tile.name, tile.color] for tile in TILES],
        "grid": GRID,
        "hero": list(sketch.HERO),
    }
    page = _PAGE.replace("CONFIG", json.dumps(config)).replace(
        "LEVEL", json.dumps("\n".join(rows(LEVEL)))
    )
    source = script(sketch.Path(sketch.__file__).parent / "sketch.js")
    (tmp_path / "sketch.mjs").write_text(source)
    (tmp_path / "page.mjs").write_text(page)
    run = subprocess.run(
        ["node", str(tmp_path / "page.mjs")], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    drawn = json.loads(run.stdout)["level"].split()
    expected = rows(LEVEL)
    expected[0] = "#" + expected[0][1:]  # the mouse, with the brush that is chosen at first
    expected[1] = "." + "l" + expected[1][2:]  # arrows, the digit for lava, Space
    assert drawn == expected


_PAGE = """
class Node {
  constructor() {
    this.children = []; this.attributes = {}; this.handlers = {};
    this.style = { setProperty() {} }; this.parent = null;
  }
  setAttribute(name, value) { this.attributes[name] = value; }
  append(...nodes) {
    for (const n of nodes) if (n instanceof Node) { n.parent = this; this.children.push(n); }
  }
  addEventListener(name, handler) { this.handlers[name] = handler; }
  focus() { globalThis.focused = this; }
  all() { return [this, ...this.children.flatMap((child) => child.all())]; }
}
globalThis.document = { createElement: () => new Node() };
globalThis.window = { addEventListener() {}, removeEventListener() {} };
const values = { config: CONFIG, level: LEVEL, picture: null };
const model = {
  get: (name) => values[name], set(name, value) { values[name] = value; },
  save_changes() { this.redraw?.(); },
  on(name, f) { if (name === "change:level") this.redraw = f; },
  off() {},
};
const { default: widget } = await import("./sketch.mjs");
const el = new Node();
widget.render({ model, el });
const cells = el.all().filter((node) => node.attributes.role === "gridcell");
const board = el.all().find((node) => node.attributes.role === "grid");
const event = { preventDefault() {}, stopPropagation() {} };
cells[0].handlers.pointerdown(event);
cells[6 * 13 + 6].handlers.pointerenter();  // the hero stays
const press = (key) => board.handlers.keydown({ ...event, key, target: globalThis.focused });
for (const key of ["ArrowRight", "ArrowDown", "4", " ", "ArrowUp", "x"]) press(key);
if (globalThis.focused !== cells[1]) throw new Error("the focus did not move back up");
if (cells[14].attributes["aria-label"] !== "row 2, column 2: lava") {
  throw new Error(cells[14].attributes["aria-label"]);
}
console.log(JSON.stringify(values));
"""
