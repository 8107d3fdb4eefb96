"""The table of symbols, and what it leaves out of a chapter's formulas."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from wmbook.places import ROOT, chapters

_FUNCTIONS = (
    r"\\(?:t?frac|sqrt|[bB]ig+[lr]?|left|right|mid|q?quad|log|ln|tanh|exp|cos|sin|sim|leftarrow|dots|ldots|ldots|times"
    r"|min|max|arg|pi|pm|nabla|cdot|le|ge|lvert|rvert|sum|in|top)(?![A-Za-z])"
)


def table() -> dict:
    """``symbol`` and ``local`` of ``book/notation.toml``."""
    return tomllib.loads((ROOT / "book/notation.toml").read_text(encoding="utf-8"))


def formulas(notebook: Path) -> list[str]:
    """All TeX in the notebook's prose."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    pairs = re.findall(r"\$\$(.+?)\$\$|\$([^$]+?)\$", text, flags=re.DOTALL)
    return [display or inline for display, inline in pairs]


def number(notebook: Path) -> int:
    return int(notebook.name[:2])


def unexplained(notebook: Path) -> tuple[list[str], list[str]]:
    """Letters of a chapter that the table lacks, and lines of the table that the chapter lacks."""
    text = "  ".join(formulas(notebook))
    spent, idle = text, []
    rows = [row for row in table()["symbol"] if number(notebook) in row["chapters"]]
    rows += [row for row in table()["local"] if row["chapter"] == number(notebook)]
    for row in rows:
        if not re.search(row["find"], text):
            idle.append(row["meaning"])
        spent = re.sub(row["find"], " ", spent)
    spent = re.sub(r"\\(?:text|mathrm|operatorname)\{[^{}]*\}", " ", spent)
    spent = re.sub(_FUNCTIONS, " ", spent)
    return re.findall(r"\\[A-Za-z]+|[A-Za-z]+", spent), idle


def markdown() -> str:
    """The page's table."""
    names = {number(path): path.stem for path in chapters()}
    links = {n: f"[{n}](chapters/{name}.ipynb)" for n, name in names.items()}
    lines = ["| Symbol | Meaning | Chapters |", "|---|---|---|"]
    for row in table()["symbol"]:
        where = ", ".join(links[n] for n in row["chapters"] if n in links)
        lines.append(f"| ${row['tex']}$ | {row['meaning']} | {where} |")
    lines += ["", "## In one toy only", "", "| Chapter | Letters |", "|---|---|"]
    lines += [f"| {links[row['chapter']]} | {row['meaning']} |" for row in table()["local"]]
    return "\n".join(lines)
