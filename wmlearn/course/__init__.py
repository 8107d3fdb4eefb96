"""The map of the course (which system predicts what, and what it learns from) and the footer.

from wmlearn import course

course.world_map()   # interactive: hover, click or walk it with the arrow keys
course.table()       # the same as text
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from importlib.resources import files
from pathlib import Path

from wmlearn.course.footer import footer
from wmlearn.systems import ELSEWHERE, SPACES, SUPERVISION, SYSTEMS, System

__all__ = ["SPACES", "SUPERVISION", "SYSTEMS", "System", "footer", "loop", "table", "world_map"]

_NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class Shown:
    """Something to end a cell with: HTML, or Markdown, and plain text where neither can be drawn.

    Attributes:
        data: the same by MIME type.
    """

    def __init__(self, data: dict[str, str]) -> None:
        self.data = data

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.data

    def __repr__(self) -> str:
        return self.data["text/plain"]


def exists(system: System) -> bool:
    """Whether the chapter on ``system`` is there, beside this package."""
    return system.chapter is not None and (_NOTEBOOKS / f"{system.chapter}.ipynb").is_file()


def world_map() -> Shown:
    """The systems on two axes, as one piece of HTML that asks nothing of the network.

    It works with mouse, touch and keyboard (Tab or the arrow keys), follows the page's light or
    dark colors, and says as plain text what ``table`` says.
    """
    page = files("wmlearn.course").joinpath("map.html").read_text(encoding="utf-8")
    page = page.replace("<!-- columns -->", "".join(map(_column, SPACES)))
    page = page.replace("<!-- rows -->", "".join(map(_row, SUPERVISION)))
    elsewhere = "".join(map(_elsewhere, ELSEWHERE))
    page = page.replace("<!-- systems -->", elsewhere + "".join(map(_button, SYSTEMS)))
    page = page.replace("<!-- cards -->", "".join(map(_card, SYSTEMS)))
    return Shown({"text/html": page, "text/plain": _table()})


def table() -> Shown:
    """The map as a Markdown table."""
    return Shown({"text/markdown": _table(), "text/plain": _table()})


def loop() -> Shown:
    """The picture of a world model: the real loop, and the dreamed one beside it."""
    source = files("wmlearn.course").joinpath("loop.svg").read_bytes()
    alt = (
        "Two loops side by side. Real: an action goes into the game, which gives the next frame. "
        "Dream: the same action and the last frames go into the world model, which predicts the "
        "next frame; that frame goes back in as if it were real. Training makes the two agree."
    )
    data = b64encode(source).decode()
    image = (
        f'<img alt="{alt}" style="width: 100%; max-width: 760px" src="data:image/svg+xml;base64,'
    )
    return Shown({"text/html": f'{image}{data}">', "text/plain": alt})


def _chapter(system: System) -> str:
    if system.chapter is None:
        return "planned"
    number = int(system.chapter.split("_")[0])
    return f"chapter {number}" if exists(system) else f"chapter {number}, planned"


def _table() -> str:
    lines = [
        "| System | Predicts | From | Prediction space | Learns from | For | Cost | Caveat "
        "| Chapter |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for s in SYSTEMS:
        learns_from = " and ".join(s.supervision)
        lines.append(
            f"| [{s.title}]({s.link}) | {s.predicts} | {s.given} | {s.space} | {learns_from} "
            f"| {s.use} | {s.cost} | {s.caveat or '–'} | {_chapter(s)} |"
        )
    others = "; ".join(f"{space} × {way}: {name}" for (space, way), name in ELSEWHERE.items())
    return "\n".join([*lines, "", f"In the empty squares, not in this course: {others}."])


def _column(space: str) -> str:
    return f"<div><b>{escape(space)}</b><br>{escape(SPACES[space])}</div>"


def _row(supervision: str) -> str:
    return f"<div><b>{escape(supervision)}</b><br>{escape(SUPERVISION[supervision])}</div>"


def _places() -> dict[str, tuple[float, float]]:
    """Center of each system's button, in squares of the map from the upper left corner."""
    squares: dict[tuple[str, tuple[str, ...]], list[System]] = {}
    for system in SYSTEMS:
        squares.setdefault((system.space, system.supervision), []).append(system)
    places = {}
    for (space, supervision), members in squares.items():
        column = list(SPACES).index(space) + 0.5
        rows = [list(SUPERVISION).index(name) for name in supervision]
        row = sum(rows) / len(rows) + 0.5
        for index, system in enumerate(members):
            places[system.title] = (column, row + 0.235 * (index - (len(members) - 1) / 2))
    return places


def _button(system: System) -> str:
    column, row = _places()[system.title]
    kind = "here" if exists(system) else "planned"
    return (
        f'<button type="button" class="{kind}" aria-pressed="false" '
        f'style="left: {column / len(SPACES):.2%}; top: {row / len(SUPERVISION):.2%}">'
        f"{escape(system.title)}</button>"
    )


def _elsewhere(square: tuple[str, str]) -> str:
    space, supervision = square
    left = (list(SPACES).index(space) + 0.5) / len(SPACES)
    top = (list(SUPERVISION).index(supervision) + 0.5) / len(SUPERVISION)
    return (
        f'<p class="elsewhere" style="left: {left:.2%}; top: {top:.2%}">'
        f"not in this course:<br>{escape(ELSEWHERE[square])}</p>"
    )


def _card(system: System) -> str:
    facts = {
        "Predicts": system.predicts,
        "from": system.given,
        "Learns from": " and ".join(SUPERVISION[name] for name in system.supervision),
        "Result": system.claim,
        "For": system.use,
        "Cost": system.cost,
        "Caveat": system.caveat,
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text
    )
    paper = (
        f'<a href="{escape(system.link)}" target="_blank" rel="noopener">{escape(system.paper)}</a>'
    )
    return (
        f"<section hidden><h4>{escape(system.title)} <small>{_chapter(system)}</small></h4>"
        f"<dl>{rows}<dt>Paper</dt><dd>{paper}</dd></dl></section>"
    )
