"""The survey's claims, and where each is taught: ``book/claims.toml`` as a page."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache

from wmbook.places import ROOT, chapters


def claims() -> list[dict]:
    """``part``, ``claim``, ``where`` (page, heading, what stands there), ``chapter``, ``note``."""
    return tomllib.loads((ROOT / "book/claims.toml").read_text(encoding="utf-8"))["claim"]


@cache
def sections(page: str) -> dict[str, str]:
    """The text under each heading of a page of the repository, up to the next heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        text = "\n\n".join(
            "".join(cell["source"])
            for cell in json.loads(text)["cells"]
            if cell["cell_type"] == "markdown"
        )
    parts = re.split(r"^#{1,4} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(map(str.strip, parts[1::2]), parts[2::2], strict=True))


def anchor(heading: str) -> str:
    """The heading's anchor, as MyST makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower().replace(" ", "-"))


def markdown() -> str:
    """The page's table."""
    there = {path.stem for path in chapters()}
    lines = ["| | Claim | Taught in |", "|---|---|---|"]
    for number, row in enumerate(claims(), start=1):
        links = [_link(page, heading) for page, heading, _ in row["where"]]
        chapter = row.get("chapter", "")
        if chapter in there:
            links.append(f"[chapter {int(chapter[:2])}](../notebooks/{chapter}.ipynb)")
        elif chapter:
            links.append(f"*chapter {int(chapter[:2])}, still to come*")
        note = f" ({row['note']})" if "note" in row else ""
        lines.append(
            f"| {number} | **{row['part']}**: {row['claim']}.{note} | {'; '.join(links)} |"
        )
    return "\n".join(lines)


def _link(page: str, heading: str) -> str:
    words = heading.replace("[", "").replace("]", "")
    name = re.match(r"notebooks/(\d\d)_", page)
    if name and not heading.startswith(f"{int(name[1])} ·"):
        words = f"chapter {int(name[1])}, {words}"
    path = f"../{page}" if name else page.removeprefix("book/")
    return f"[{words}]({path}#{anchor(heading)})"
