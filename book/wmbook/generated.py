"""Pages and parts of pages that are made from the library, its cards and its notebooks.

A page asks for a part with ``<!-- made: NAME ARGUMENTS -->`` on a line of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from wmbook import (
    api,
    cards,
    charts,
    claims,
    films,
    notation,
    places,
    results,
    systems,
    tiers,
)
from wmlearn.systems import SYSTEMS

PICTURES = {  # of chapters on no one system: what assets/figures/chapter-NUMBER.svg shows
    "00": "Two loops: an action goes into the game, which gives a real frame, and into the model, "
    "which gives a dreamed one that goes back in.",
    "01": "Four stations in a ring: your game, the network, its dream, the judgment on it.",
}


def fill(text: str) -> str:
    """The page with all its parts."""
    return re.sub(
        r"^<!-- made: (\S+)(.*?) -->$",
        lambda found: PARTS[found[1]](*found[2].split()),
        text,
        flags=re.MULTILINE,
    )


def pages() -> dict[str, str]:
    """Whole pages, by their file's name."""
    return {**systems.pages(), **api.pages(), "licenses.md": _license()}


@cache
def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _map() -> str:
    from wmlearn import course

    return f'<div class="wm-outer">\n{_flat(course.world_map().data["text/html"])}\n</div>'


def _flat(html: str) -> str:
    """HTML that Markdown takes as one block: no empty lines."""
    return re.sub(r"\n\s*\n+", "\n", html)


def _chapter_cards() -> str:
    items = []
    for path in places.chapters():
        prose = next("".join(c["source"]) for c in _cells(path) if c["cell_type"] == "markdown")
        takes = re.search(r"\*It takes\*: (.+?)(?:\.|<br>|\n)", prose)
        will = re.search(r"\*You will\*: (.+?)(?:[;:.]|<br>)", " ".join(prose.split()))
        found = picture(path)
        shown = f'<img src="{found[0]}" alt="{found[1]}" loading="lazy">' if found else ""
        items.append(
            f"<li>{shown}<div><a "
            f'href="chapters/{path.stem}.html">{_plain(places.title_of(path))}</a>'
            f"<p>You will {_plain(will[1])}.<br><small>{_plain(takes[1])}</small></p></div></li>"
        )
    return f'<ul class="wm-cards">{"".join(items)}</ul>'


def _plain(markdown: str) -> str:
    """Markdown's words without marks, links and HTML."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return re.sub(r"<[^>]*>|\*", "", text).strip()


def picture(chapter: Path) -> tuple[str, str] | None:
    """A chapter's picture, from the site's root, and its words.

    A chapter on no one system has a drawing of its own; another shows a moment of the film of a
    checkpoint that its system ships with, or of the first that it names.
    """
    number = chapter.stem[:2]
    if number in PICTURES:
        return f"figures/chapter-{number}.svg", PICTURES[number]
    own = {entry.name for entry in SYSTEMS if entry.name and entry.chapter == chapter.stem}
    code = "\n".join("".join(c["source"]) for c in _cells(chapter) if c["cell_type"] == "code")
    shipped = [name for name in cards.names() if cards.card(name)["system"] in own]
    for world in (*shipped, *cards.named(code)):
        if film := films.find(world):
            return f"films/{world}.png", film["alt"].partition(". ")[0].rstrip(".") + "."
    return None


def _exercise_table() -> str:
    lines = ["| Chapter | Exercises | Minutes | Points |", "|---|---|---|---|"]
    total = [0, 0, 0]
    for path in places.exercises():
        text = "\n".join("".join(c["source"]) for c in _cells(path))
        rows = _table_of_exercises(text)
        minutes = sum(int(row["Minutes"]) for row in rows)
        points = sum(sum(map(int, re.findall(r"\d+", row["Points"]))) for row in rows)
        total = [a + b for a, b in zip(total, (len(rows), minutes, points), strict=True)]
        names = "; ".join(row["Exercise"] for row in rows)
        title = _plain(places.title_of(path)).removeprefix("Exercises: ")
        lines.append(f"| [{title}](exercises/{path.name}) | {names} | {minutes} | {points} |")
    lines.append(f"| all | {total[0]} exercises | {total[1]} | {total[2]} |")
    # the page stands in the folder of the exercises
    return "\n".join(lines).replace("](exercises/", "](../notebooks/exercises/release/")


def _table_of_exercises(text: str) -> list[dict[str, str]]:
    """The rows of a notebook's own table of its exercises, by the names of its columns."""
    lines = [line for line in text.split("\n") if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in lines]
    start = next(i for i, row in enumerate(cells) if {"Exercise", "Minutes", "Points"} <= set(row))
    names = cells[start]
    rows = [row for row in cells[start + 2 :] if row[0].isdigit()]
    return [dict(zip(names, row[-len(names) :], strict=True)) for row in rows]


def _toctrees() -> str:
    chapters = " ".join(f"chapters/{path.stem}" for path in places.chapters())
    parts = {
        "The course": f"{chapters} exercises/index",
        "Understand": "fidelity claims systems/index prerequisites/index glossary notation "
        "references",
        "Measured": "results comparison tiers checkpoints clips",
        "Make and teach": "own_world instructors threat_model contributing api/index changelog "
        "licenses",
    }
    return "\n\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n{chr(10).join(pages.split())}\n```"
        for caption, pages in parts.items()
    )


def _exercise_toctree() -> str:
    pages = "\n".join(path.stem for path in places.exercises())
    return f"```{{toctree}}\n:hidden:\n{pages}\n```"


def _license() -> str:
    text = (places.ROOT / "LICENSE-TEXT").read_text(encoding="utf-8").strip()
    parts = (places.ROOT / "book/static/vendor/README.md").read_text(encoding="utf-8")
    table = parts.partition("\n\n")[2].replace(
        "[mathjax/LICENSE](mathjax/LICENSE)", "in its folder"
    )
    return (
        "# Licenses\n\nCode and weights are Apache-2.0 (the file `LICENSE` of the repository), "
        "text and figures "
        f"CC BY 4.0:\n\n```text\n{text}\n```\n\n## Parts of others\n\n{table}"
    )


PARTS: dict[str, Callable[..., str]] = {
    "map": _map,
    "film": films.html,
    "chapter_cards": _chapter_cards,
    "exercise_table": _exercise_table,
    "exercise_toctree": _exercise_toctree,
    "toctrees": _toctrees,
    "notation": notation.markdown,
    "claims": claims.markdown,
    "five_numbers": results.five_numbers,
    "results_table": results.table,
    "measured": results.measured,
    "commands": results.commands,
    "horizon_figure": charts.horizon_figure,
    "comparison_table": results.comparison,
    "comparison_figure": charts.comparison_figure,
    "fidelity_table": results.fidelity,
    "fidelity_figure": charts.fidelity_figure,
    "purposes": systems.purposes,
    "tier_table": tiers.table,
    "tier_hardware": tiers.hardware,
    "tier_figure": tiers.figure,
}
