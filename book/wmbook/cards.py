"""What the shipped checkpoints' cards say, for tables and figures. No number is typed here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache

from wmbook import films
from wmbook.places import ROOT
from wmlearn.systems import SYSTEMS

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
    """Of the checkpoints that ship: those with a film first, in the order of their chapters."""
    found = [path.parent.name for path in CHECKPOINTS.glob("*/card.json")]
    chapters = {entry.name: entry.chapter or "99" for entry in SYSTEMS}

    def order(name: str) -> tuple:
        return films.find(name) is None, chapters.get(card(name)["system"], "99"), name

    return tuple(sorted(found, key=order))


def named(code: str) -> list[str]:
    """The checkpoints that a piece of code names in quotes, in its order."""
    return [word for word in re.findall(r"""["']([a-z0-9-]+)["']""", code) if word in names()]


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
    if isinstance(entry, list):  # a count may follow
        entry = dict(zip(("value", "low", "high"), entry[:3], strict=True))
    if not isinstance(entry, dict):
        return Measure(float(entry), unit=unit, digits=digits)
    return Measure(entry["value"], entry.get("low"), entry.get("high"), unit, digits)


@cache
def horizons(name: str) -> list[dict]:
    """A world's rows of fidelity by horizon; empty where it has none.

    Each has ``horizon``, ``psnr``, ``psnr_copy`` and ``psnr_gain``; where the gain was not measured
    by itself it is the difference of the two, without an interval.
    """
    found = evaluation(name) or {}
    fidelity = found.get("fidelity") or {}
    rows = fidelity.get("at", []) if isinstance(fidelity, dict) else []
    return rows or [
        {
            "horizon": steps,
            "psnr": parts["dream"],
            "psnr_copy": parts["copy"],
            "psnr_gain": {"value": parts["dream"]["value"] - parts["copy"]["value"]},
        }
        for steps, parts in _own_horizons(name).items()
    ]


@cache
def _own_horizons(name: str) -> dict[int, dict]:
    """PSNR of ``dream``, ``copy`` and perhaps ``other actions``, as a chapter's judge puts them."""
    metrics = card(name).get("metrics", {}) if name in names() else {}
    found: dict[int, dict] = {}
    nested = metrics.get("dream", {})
    for steps, parts in nested.items() if isinstance(nested, dict) else ():
        if steps.isdigit() and {"dream", "copy"} <= set(parts):
            found[int(steps)] = parts
    for key, value in metrics.items():  # "psnr 8 other actions"
        if match := re.fullmatch(r"psnr (\d+) (.+)", key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    return {n: found[n] for n in sorted(found) if {"dream", "copy"} <= set(found[n])}


def curve(name: str) -> list[tuple[int, dict, dict, dict | None]]:
    """A world's PSNR by horizon: steps, and the estimates of dream, copy and other actions."""
    whole = ((evaluation(name) or {}).get("fidelity") or {}).get("curve")
    if whole:
        other = whole.get("other_actions") or [None] * len(whole["dream"])
        rows = zip(whole["dream"], whole["copy"], other, strict=True)
        return [(steps, *row) for steps, row in enumerate(rows, start=1)]
    own = _own_horizons(name).items()
    return [(steps, row["dream"], row["copy"], row.get("other actions")) for steps, row in own]


def at(name: str, horizon: int | None = None) -> dict:
    """The row of one horizon, by default the longest."""
    rows = horizons(name)
    return rows[-1] if horizon is None else next(r for r in rows if r["horizon"] == horizon)


def control(name: str) -> dict[int, dict]:
    """Controllability by horizon: ``delta``, what other actions lose."""
    part = (evaluation(name) or {}).get("controllability") or {}
    found = {row["horizon"]: row for row in part.get("at", [])}
    for steps, row in ({} if found else _own_horizons(name)).items():
        if "other actions" in row:
            lost = row["dream"]["value"] - row["other actions"]["value"]
            found[steps] = {"delta": {"value": lost}}
    return found


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


def device(name: str) -> str:
    """What a world was trained on, in a word: "CPU", or the GPUs' names."""
    hardware = card(name).get("hardware", "") if name in names() else ""
    found = re.findall(r"\b(?:[AHLV]\d{2,3}|B200|T4|P100|RTX \w+|TPU)\b", hardware)
    return " and ".join(dict.fromkeys(found)) or "CPU"
