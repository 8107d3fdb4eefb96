"""Notebooks as pages: the stored outputs, without what only a kernel can show."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

from wmbook import cards, films, terms
from wmbook.links import rewrite
from wmbook.places import colab, place

_WIDGET = "application/vnd.jupyter.widget-view+json"
_PLOTLY = "application/vnd.plotly.v1+json"


def stage(path: Path, source: str, folder: Path) -> Path:
    """Writes the notebook ``path`` (``source`` in the repository) below ``folder``."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    target = place(source)
    world, shown, linked = "", set(), set()
    text = "\n".join(
        "".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown"
    )
    several = len(re.findall(r"^# ", text, flags=re.MULTILINE)) > 1
    first = True
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = terms.link(rewrite(text, source, target), linked)
            if first and (url := colab(source)):
                text = re.sub(
                    r"^(# .+)$", rf"\1\n\n[Open in Colab]({url})", text, count=1, flags=re.M
                )
            cell["source"] = _lower_headings(text, keep_first=first) if several else text
            first = first and not re.search(r"^# ", text, flags=re.MULTILINE)
            continue
        named = [name for name in cards.named(text) if films.find(name)]
        world = named[0] if named else world
        if text.startswith("# Setup:"):
            cell["metadata"].setdefault("tags", []).append("hide-input")
        cell["outputs"] = _still(cell.get("outputs", []), world, shown)
    out = folder / target
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(notebook), encoding="utf-8")
    return out


def _lower_headings(text: str, keep_first: bool) -> str:
    """One title a page: every further heading of the first level, and all below, go one down."""
    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        if re.match(r"#{1,5} ", line) and not fenced:
            if keep_first and line.startswith("# "):
                keep_first = False
            else:
                line = "#" + line
        lines.append(line)
    return "\n".join(lines)


def _still(outputs: list[dict], world: str, shown: set[str]) -> list[dict]:
    """Outputs of a cell on a page without a kernel: a film for a player, nothing for a bar."""
    kept, bars = [], 0
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stderr":
            continue
        data = output.get("data", {})
        if _PLOTLY in data:
            html = _figure(data)
            kept.append(
                {"output_type": "display_data", "metadata": {}, "data": {"text/html": html}}
            )
            continue
        if _WIDGET not in data:
            kept.append(output)
            continue
        plain = "".join(data.get("text/plain", ""))
        if plain.startswith(("Training", "Validation")):  # a progress bar
            bars += 1
            continue
        kept.append(_shown(_instead(plain, world, shown)))
    return kept


def _shown(html: str) -> dict:
    """An output that shows HTML."""
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": html}}


def _figure(data: dict) -> str:
    """A figure of plotly as the page draws it; its table stays, its still picture goes."""
    alt = "".join(data["text/plain"])
    spec = {key: data[_PLOTLY][key] for key in ("data", "layout")}
    table = re.sub(r"<img\b[^>]*>", "", "".join(data.get("text/html", "")))
    return (
        f'<div class="wm-plotly"><div class="wm-plot" role="img" aria-label="{escape(alt)}"></div>'
        f'<script type="application/json">{json.dumps(spec).replace("</", "<" + chr(92) + "/")}'
        f"</script></div>{table}"
    )


def _instead(plain: str, world: str, shown: set[str]) -> str:
    if plain.startswith("interactive("):
        return films.note("Sliders stand here in the notebook: run the cell and move them.")
    what = plain.partition(":")[0].lower()
    if world and world not in shown and films.find(world):
        shown.add(world)
        return films.html(world, "../") + films.note(f"In the notebook this is live ({what}).")
    return films.note(f"Live in the notebook: {what}. Run the cell there.")
