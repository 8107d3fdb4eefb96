"""Results that survive a kill: a file for each run, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import wmlearn
from wmlearn.files import write_whole
from wmlearn.grading.merging import Plan, canonical
from wmlearn.grading.sandbox import find_sandbox
from wmlearn.grading.scoring import Limits, Outcome


def key_of(planned: Plan, limits: Limits) -> str:
    """The same for the same code, tests, limits and library: then the result is the same."""
    package = Path(wmlearn.__file__).parent
    folders = (package / name for name in ("teach", "chapters", "grading"))
    checks = sorted(path for folder in folders for path in folder.rglob("*.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in checks)).hexdigest()
    numbers = [float(limits.seconds), float(limits.total), float(limits.megabytes)]
    content = [numbers, planned.cells]  # nbgrader makes 60.0 of a setting of 60
    content += [wmlearn.__version__, code, find_sandbox().found]
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:32]


def save_outcome(store: Path, key: str, outcome: Outcome) -> None:
    write_whole(store / f"{key}.json", json.dumps(asdict(outcome), indent=1, sort_keys=True))


def load_outcome(store: Path, key: str) -> Outcome | None:
    """An earlier result, or ``None`` if there is none or it was torn."""
    try:
        content = json.loads((store / f"{key}.json").read_text(encoding="utf-8"))
        return Outcome(**content)
    except (OSError, ValueError, TypeError, KeyError):
        return None
