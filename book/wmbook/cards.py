"""What the shipped checkpoints' cards say, for tables and figures. No number is typed here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from wmbook import films
from wmbook.places import ROOT

CHECKPOINTS = ROOT / "assets/checkpoints"


@dataclass(frozen=True)
class Measure:
    """One measured figure.

    Attributes:
        value, low, high: of 95% intervals; the bounds are None where none was computed.
        unit: "dB", "%" or "".
        digits: behind the point.
    """

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    digits: int = 1

    def __str__(self) -> str:
        value, bounds = self.parts()
        return f"{value} {bounds}".rstrip()

    def html(self) -> str:
        """The value, and its interval below it in small print."""
        value, bounds = (part.replace(" ", "\u00a0") for part in self.parts())
        return f"{value}<br><small>{bounds}</small>" if bounds else value

    def parts(self) -> tuple[str, str]:
        """The value with its unit, and the interval in brackets or nothing."""
        scale = 100 if self.unit == "%" else 1
        text, *bounds = (
            f"{scale * x:.{self.digits}f}".replace("-", "−")
            for x in (self.value, self.low, self.high)
            if x is not None
        )
        unit = f" {self.unit}" if self.unit else ""
        return text + unit, f"[{', '.join(bounds)}]" if bounds else ""


@cache
def names() -> tuple[str, ...]:
    """Of the checkpoints that ship: those with a film first, the others by their names."""
    found = [path.parent.name for path in CHECKPOINTS.glob("*/card.json")]
    return tuple(sorted(found, key=lambda name: (films.find(name) is None, name)))


@cache
def card(name: str) -> dict:
    """How a checkpoint was made."""
    return json.loads((CHECKPOINTS / name / "card.json").read_text(encoding="utf-8"))


@cache
def evaluation(name: str) -> dict | None:
    """The judgment on a checkpoint, or on a run of which only the judgment ships."""
    for path in (CHECKPOINTS / name / "evaluation.json", ROOT / f"assets/evaluations/{name}.json"):
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def evaluations() -> list[str]:
    """Names that :func:`evaluation` knows and that have a fidelity by horizon."""
    found = [path.stem for path in sorted((ROOT / "assets/evaluations").glob("*.json"))]
    return [n for n in [*names(), *found] if horizons(n)]


def estimate(entry: dict | list | float | None, unit: str = "", digits: int = 1) -> Measure | None:
    """A card's ``{"value": ..., "low": ..., "high": ...}`` or ``[value, low, high]``."""
    if entry is None:
        return None
    if isinstance(entry, list):
        entry = dict(zip(("value", "low", "high"), entry, strict=True))
    if not isinstance(entry, dict):
        return Measure(float(entry), unit=unit, digits=digits)
    return Measure(entry["value"], entry.get("low"), entry.get("high"), unit, digits)


def horizons(name: str) -> list[dict]:
    """A world's rows of fidelity by horizon; empty where it has none."""
    found = evaluation(name) or {}
    fidelity = found.get("fidelity") or {}
    return fidelity.get("at", []) if isinstance(fidelity, dict) else []


def at(name: str, horizon: int | None = None) -> dict:
    """The row of one horizon, by default the longest."""
    rows = horizons(name)
    return rows[-1] if horizon is None else next(r for r in rows if r["horizon"] == horizon)


def control(name: str) -> dict[int, dict]:
    """Controllability by horizon."""
    part = (evaluation(name) or {}).get("controllability") or {}
    return {row["horizon"]: row for row in part.get("at", [])}


def parameters(name: str) -> int:
    """Counted in the weights' file."""
    from safetensors import safe_open

    total = 0
    with safe_open(CHECKPOINTS / name / "model.safetensors", framework="np") as file:
        for key in file.keys():
            count = 1
            for side in file.get_slice(key).get_shape():
                count *= side
            total += count
    return total


def minutes(name: str) -> float | None:
    """How long a world was trained."""
    if name in names():
        return card(name).get("minutes")
    return ((evaluation(name) or {}).get("cost") or {}).get("training_minutes")
