"""A level drawn by hand, as the first frame of a dream: ``Sketch()`` in a notebook, or plain text.

A level is 13 lines of 13 signs, the part of a CoinRun level that its camera shows. The hero stands
in the middle and cannot be moved: in CoinRun the camera follows him. The tiles are drawn here, in
CoinRun's colors; none of its pictures is copied.

    frame = paint(LEVEL)                   # uint8 [3, 64, 64], needs no widget
    start = as_clip(frame)                 # what a world starts from
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wmlearn.data.clip import Clip
from wmlearn.player.page import script, styles

GRID = 13
"""Tiles across and down."""
SIZE = 64
"""Height and width of the painted frame, in pixels."""
HERO = (6, 6)
"""Row and column of the hero's tile."""


@dataclass(frozen=True)
class Tile:
    """One kind of tile.

    Attributes:
        sign: how it is written in a level.
        name: for people.
        color: one color for all of it, ``#rrggbb``, in the editor.
    """

    sign: str
    name: str
    color: str


TILES = (
    Tile(".", "air", "#000000"),
    Tile("#", "stone", "#b1c0c1"),
    Tile("c", "crate", "#a06d3d"),
    Tile("l", "lava", "#f0721e"),
    Tile("s", "saw", "#87a4a6"),
    Tile("o", "coin", "#ffcc00"),
)

LEVEL = """
.............
.............
.............
.............
.............
............o
.........c.##
#######..####
#######s.####
#############
#############
#############
#############
"""
"""A level to begin with."""

_STONE = ("b1c0c1", "bbcbcc", "c5d1d2", "a2b5b6")
_BAND = np.resize([1, 0, 2, 0, 1, 1, 0, 2, 0, 2], SIZE)  # stone lies in rows
_WOOD = ("a06d3d", "bb844d", "986839", "9f6c3c")
_FIRE = ("f0721e", "e06616", "e86a17", "f0721e")
_TURF = "c58f5c"
_HERO = (" 443", "3ee4", "3ee3", "tuut", " tt ", " 9 t")
_HERO_COLORS = {
    "4": "4d4d4d", "3": "333333", "e": "e9dfc7", "9": "9a8f78", "t": "e0d1af", "u": "e6dabf",
}  # fmt: skip
_SAW = ("     ", "     ", " bgb ", "bg7gb", "ggggg")
_COIN = ("     ", " yyy ", "yyoyy", "yyoyy", " yyy ")
_FLAT = {"b": "bbcbcc", "g": "87a4a6", "7": "7c989a", "y": "ffcc00", "o": "d9a400"}


def rows(level: str | Sequence[str]) -> list[str]:
    """The level's 13 lines of 13 signs.

    Raises:
        ValueError: one sentence that says what is wrong.
    """
    lines = level.split() if isinstance(level, str) else [str(line) for line in level]
    if len(lines) != GRID or any(len(line) != GRID for line in lines):
        raise ValueError(
            f"A level has {GRID} lines of {GRID} signs; this one has {len(lines)} lines of "
            f"{sorted({len(line) for line in lines})}."
        )
    unknown = sorted(set("".join(lines)) - {tile.sign for tile in TILES})
    if unknown:
        known = ", ".join(f"{tile.sign} {tile.name}" for tile in TILES)
        raise ValueError(f"A level has no sign {unknown[0]!r}; there are {known}.")
    return lines


def paint(level: str | Sequence[str] = LEVEL) -> torch.Tensor:
    """The level as a frame, uint8 ``[3, 64, 64]``; the same level gives the same frame.

    Stone below air grows turf. What stands at the hero's place is hidden behind him.
    """
    lines = rows(level)
    picture = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    rng = np.random.default_rng(0)
    grain = np.where(rng.random((SIZE, SIZE)) < 0.7, _BAND[:, None], rng.integers(4, size=SIZE))
    edges = [int(SIZE * i / GRID + 0.55) for i in range(GRID + 1)]
    for r, line in enumerate(lines):
        for c, sign in enumerate(line):
            part = (slice(edges[r], edges[r + 1]), slice(edges[c], edges[c + 1]))
            above = lines[r - 1][c] if r else "#"
            picture[part] = _tile(sign, grain[part], turf=above != "#")
    top, left = edges[HERO[0] + 1] - len(_HERO), edges[HERO[1]]
    for y, line in enumerate(_HERO):
        for x, sign in enumerate(line):
            if sign != " ":
                picture[top + y, left + x] = _rgb(_HERO_COLORS[sign])
    return torch.from_numpy(picture).permute(2, 0, 1).contiguous()


def as_clip(frame: torch.Tensor) -> Clip:
    """One frame uint8 ``[C, H, W]`` as a clip of one frame, without actions: a world's context."""
    return Clip(frames=frame[None, None])


def to_level(frame: torch.Tensor) -> str:
    """The level that :func:`paint` would turn into this frame, sign by sign as near as it gets.

    Args:
        frame: uint8 ``[3, 64, 64]``, for instance of the real game.
    """
    pictures = {t.sign: paint([t.sign * GRID] * GRID).float() for t in TILES}
    edges = [int(SIZE * i / GRID + 0.55) for i in range(GRID + 1)]
    lines = []
    for r in range(GRID):
        line = ""
        for c in range(GRID):
            part = (slice(None), slice(edges[r], edges[r + 1]), slice(edges[c], edges[c + 1]))
            error = {s: (p[part] - frame[part]).square().sum() for s, p in pictures.items()}
            line += "." if (r, c) == HERO else min(error, key=error.get)
        lines.append(line)
    return "\n".join(lines)


def _tile(sign: str, grain: np.ndarray, turf: bool) -> np.ndarray:
    """One tile's pixels ``[h, w, 3]``; ``grain``: random 0 .. 3 for each."""
    out = np.zeros((*grain.shape, 3), dtype=np.uint8)
    if sign in "#cl":
        colors = np.array([_rgb(c) for c in {"#": _STONE, "c": _WOOD, "l": _FIRE}[sign]])
        out[:] = colors[grain]
    if sign == "#" and turf:
        out[0] = _rgb(_TURF)
    if sign == "c":
        out[[0, -1]] = out[:, [0, -1]] = _rgb("ae7640")
    for y, line in enumerate({"s": _SAW, "o": _COIN}.get(sign, ())):
        for x, letter in enumerate(line[: grain.shape[1]]):
            if letter != " ":
                out[y - len(_SAW), x] = _rgb(_FLAT[letter])  # counted from the ground
    return out


def _rgb(color: str) -> tuple[int, int, int]:
    return tuple(bytes.fromhex(color))


def _png(frame: torch.Tensor) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(frame.permute(1, 2, 0).numpy()).save(out, "PNG")
    return out.getvalue()


def _widget_class() -> type:
    """The widget's class; made when it is first asked for, as it needs anywidget."""
    import anywidget
    import traitlets

    here = Path(__file__).parent

    class Sketch(anywidget.AnyWidget):
        """A level editor: choose a tile, paint with the mouse or with arrows and Space.

        ``level`` is the level as text, ``frame`` what a world would see, ``clip`` the same as a
        world's context. All follow what is drawn.

        Args:
            level: to begin with.
        """

        _esm = script(here / "sketch.js")
        _css = styles(here / "sketch.css")
        config = traitlets.Dict().tag(sync=True)
        level = traitlets.Unicode().tag(sync=True)
        picture = traitlets.Bytes(b"").tag(sync=True)

        def __init__(self, level: str | Sequence[str] = LEVEL) -> None:
            text = "\n".join(rows(level))
            tiles = [[tile.sign, tile.name, tile.color] for tile in TILES]
            super().__init__(
                config={"tiles": tiles, "grid": GRID, "hero": list(HERO)},
                level=text,
                picture=_png(paint(text)),
            )

        @traitlets.validate("level")
        def _check(self, proposal: dict) -> str:
            return "\n".join(rows(proposal["value"]))

        @traitlets.observe("level")
        def _redraw(self, change: dict) -> None:
            self.picture = _png(paint(change["new"]))

        @property
        def frame(self) -> torch.Tensor:
            """uint8 ``[3, 64, 64]``."""
            return paint(self.level)

        @property
        def clip(self) -> Clip:
            return as_clip(self.frame)

        def __repr__(self) -> str:
            return "A level to draw in: run this cell.\n" + self.level

    return Sketch


def __getattr__(name: str):
    if name == "Sketch":
        try:
            made = _widget_class()
        except ImportError:
            raise ImportError(
                'The sketch needs anywidget: pip install "wmlearn[course]"; or write the level as '
                "text and use paint(level)."
            ) from None
        globals()["Sketch"] = made
        return made
    raise AttributeError(f"wmlearn.chapters.ch09_genie.sketch has no {name}.")
