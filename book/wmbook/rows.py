"""Rows of tables that ``book/rows.toml`` finds in cards of systems with a judgment of their own."""

from __future__ import annotations

import json
import tomllib
from functools import cache

from wmbook import cards
from wmbook.cards import Measure, estimate
from wmbook.places import ROOT


@cache
def _lines() -> tuple[dict, ...]:
    return tuple(tomllib.loads((ROOT / "book/rows.toml").read_text(encoding="utf-8"))["row"])


def of(name: str) -> list[dict]:
    """The lines that fit a checkpoint: ``what``, ``own`` and ``others`` (label and measure)."""
    system, found = cards.card(name)["system"], []
    for line in _lines():
        if system not in line["systems"]:
            continue
        own = _measure(name, line, line["value"])
        if own is not None:
            others = [
                (label, _measure(name, {**line, **({"digits": digits[0]} if digits else {})}, path))
                for label, path, *digits in line.get("beside", ())
            ]
            others = [(label, value) for label, value in others if value is not None]
            found.append({**line, "own": own, "others": others})
    return found


def speed(name: str) -> Measure | None:
    """Frames per second on one processor core, where a line says so."""
    return next((row["own"] for row in of(name) if row.get("part") == "speed"), None)


def cell(name: str, part: str) -> list[str]:
    """What one column of the comparison says of a checkpoint, as HTML."""
    found = []
    for row in of(name):
        if row.get("part") == part:
            beside = [(label, v) for label, v in row["others"] if label == row.get("cell_beside")]
            text = "".join(f"<br>{label} {value.parts()[0]}" for label, value in beside)
            found.append(f"{row['cell']} {row['own'].html()}{text}")
    return found


def _measure(name: str, line: dict, path: str) -> Measure | None:
    """The number at a place of the card, or None where the card does not have it."""
    value = _beside(name, line["file"]) if "file" in line else cards.card(name).get("metrics")
    for step in path.split("/"):
        if isinstance(value, list) and step.startswith("horizon="):  # of rows, that of a horizon
            wanted = int(step.removeprefix("horizon="))
            value = next((row for row in value if row.get("horizon") == wanted), None)
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return estimate(value, line.get("unit", ""), line.get("digits", 1))


@cache
def _beside(name: str, file: str) -> dict:
    path = cards.CHECKPOINTS / name / file
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
