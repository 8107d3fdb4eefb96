"""A page for each system, made from its registry entry, its checkpoints' cards and its figure."""

from __future__ import annotations

import re

from wmbook import cards, charts, films, results
from wmbook.flows import FLOWS
from wmbook.places import ROOT, chapters, exercises, title_of
from wmlearn.systems import SPACES, SUPERVISION, SYSTEMS, System


def built() -> list[System]:
    """The systems that this course has built, in the order of their chapters."""
    return sorted(
        (entry for entry in SYSTEMS if entry.name), key=lambda entry: entry.chapter or "99"
    )


def pages() -> dict[str, str]:
    found = {f"systems/{entry.name}.md": _page(entry) for entry in built()}
    return {"systems/index.md": _index(), **found}


def purposes() -> str:
    """The map as a table, with what each system is for, what it cost, and what its square hides."""
    lines = [
        "| System | Predicts | Learns from | For | Cost, as published | Caveat |",
        "|---|---|---|---|---|---|",
    ]
    for entry in SYSTEMS:
        lines.append(
            f"| [{entry.title}]({entry.link}) | {entry.space} | {' and '.join(entry.supervision)} "
            f"| {entry.use} | {entry.cost} | {entry.caveat or '–'} |"
        )
    return "\n".join(lines)


def _index() -> str:
    rows = [
        "| System | Predicts | From | Chapter | Ships with |",
        "|---|---|---|---|---|",
    ]
    for entry in SYSTEMS:
        name = (
            f"[{entry.title}]({entry.name}.md)" if entry.name else f"[{entry.title}]({entry.link})"
        )
        here = [f"`{n}`" for n in _checkpoints(entry)]
        rows.append(
            f"| {name} | {entry.predicts} | {entry.given} | {_chapter(entry)} | "
            f"{', '.join(here) or '–'} |"
        )
    names = "\n".join(entry.name for entry in built())
    return (
        "# Systems\n\nEach page is made from the system's entry in the registry and from the "
        "cards of its checkpoints. "
        "What the columns of the map pay and gain is on [fidelity against "
        "utility](../fidelity.md).\n\n"
        + "\n".join(rows)
        + f"\n\n```{{toctree}}\n:hidden:\n{names}\n```\n"
    )


def _checkpoints(entry: System) -> list[str]:
    return [
        name for name in cards.names() if entry.name and cards.card(name)["system"] == entry.name
    ]


def _notebook(entry: System):
    return next((path for path in chapters() if path.stem == entry.chapter), None)


def _chapter(entry: System) -> str:
    path = _notebook(entry)
    return f"[{title_of(path)}](../chapters/{path.name})" if path else "planned"


def _page(entry: System) -> str:
    parts = ["---", "html_theme.sidebar_secondary.remove: true", "---", "", f"# {entry.title}", ""]
    learns = " and ".join(f"**{name}** ({SUPERVISION[name]})" for name in entry.supervision)
    facts = {
        "On the map": f"**{entry.space}** ({SPACES[entry.space]}), learned from {learns}",
        "Paper": f"[{entry.paper}]({entry.link})",
        "Its makers’ result": entry.claim,
        "For": entry.use,
        "Cost, as published": entry.cost,
        "Caveat": entry.caveat,
        "Chapter": _chapter(entry),
    }
    task = next((path for path in exercises() if path.stem == entry.chapter), None)
    if task:
        facts["Exercises"] = f"[{title_of(task)}](../exercises/{task.name})"
    folder = f"wmlearn.systems.{entry.name.replace('-', '_')}"
    facts["Code"] = f"[`{folder}`](../api/{folder}.md)"
    parts += [f"It predicts {entry.predicts}, from {entry.given}.", "", *_facts(facts), ""]
    if entry.name in FLOWS:
        parts += ["## What flows through it", "", FLOWS[entry.name].html(), ""]
    if landscape := charts.landscape_figure(entry.name):
        parts += ["## The energy of an action", "", landscape, ""]
    for name in _checkpoints(entry):
        parts += _checkpoint(name)
    return "\n".join(parts)


def _facts(facts: dict[str, str]) -> list[str]:
    """A table of two columns, whose first one is the head of each row."""
    rows = [line for head, text in facts.items() if text for line in (f"* - {head}", f"  - {text}")]
    return [":::{list-table}", ":stub-columns: 1", ":widths: 22 78", "", *rows, ":::"]


def _checkpoint(name: str) -> list[str]:
    card = cards.card(name)
    parts = [f"## The checkpoint `{name}`", ""]
    if films.find(name):
        parts += [films.html(name, "../"), ""]
    parts += [
        f"{cards.parameters(name) / 1e6:.2f} million parameters. {results.about(card)}",
        card.get("note", ""),
        "",
        *(results.rows_table(lines) if (lines := list(results.rows_of(name))) else []),
        "",
        "```python",
        "import wmlearn as wm",
        "",
        f'system = wm.load("{name}")',
        *(
            [f'world = wm.load_world("{name}")']
            if (ROOT / f"assets/checkpoints/{name}/starts.safetensors").is_file()
            else []
        ),
        "```",
        "",
        f"How it was made, command by command: [checkpoints](../checkpoints.md#{_anchor(name)}).",
        "",
    ]
    if log := card.get("log"):
        parts += [
            ":::{dropdown} What was tried on the way",
            *(f"- {line}" for line in log),
            ":::",
            "",
        ]
    return parts


def _anchor(name: str) -> str:
    """Of the heading that names a checkpoint on the page of all checkpoints."""
    text = (ROOT / "assets/checkpoints/README.md").read_text(encoding="utf-8")
    heading = next(
        h for h in re.findall(r"^## (.+)$", text, flags=re.MULTILINE) if name in h.split()
    )
    return re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-"))
