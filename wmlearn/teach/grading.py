"""Grading a submitted notebook: the student's answers, the teacher's tests, a limited process."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from wmlearn.teach.limits import events
from wmlearn.teach.releasing import TEXT_STUB, read_notebook


@dataclass(frozen=True)
class Score:
    """The result of one graded cell.

    Attributes:
        exercise: such as ``"04.1"``.
        points: ``None`` for a written answer, which a person reads.
        maximum: points for a full solution.
        message: empty, or what went wrong.
    """

    exercise: str
    points: float | None
    maximum: float
    message: str


@dataclass(frozen=True)
class Report:
    """All results of one notebook; ``str(report)`` is a table.

    Attributes:
        notebook: file name of the submission.
        scores: in the notebook's order.
        limits: under which limits the answers ran.
    """

    notebook: str
    scores: tuple[Score, ...]
    limits: str

    @property
    def points(self) -> float:
        """Points so far, without the answers that a person reads."""
        return sum(score.points or 0 for score in self.scores)

    @property
    def maximum(self) -> float:
        return sum(score.maximum for score in self.scores)

    def __str__(self) -> str:
        rows = [f"{self.notebook}: {self.points:g} of {self.maximum:g} points"]
        for score in self.scores:
            points = "?" if score.points is None else f"{score.points:g}"
            message = score.message.replace("\n", " ") or "passed"
            rows.append(f"  {score.exercise}  {points:>3} / {score.maximum:g}  {message}")
        return "\n".join([*rows, f"  limits: {self.limits}"])

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "points": self.points, "maximum": self.maximum})


def grade(
    notebook: str | Path, source: str | Path, seconds: float = 60, megabytes: int = 2048
) -> Report:
    """Runs a submission's answers against the teacher's tests and counts the points.

    The answer cells come from the submission; the tests, hidden ones included, and all locked
    cells come from the teacher's notebook, whatever the submission has in their place. A cell
    that takes too long costs its own points only.

    Args:
        notebook: the submission.
        source: the teacher's notebook, with solutions and hidden tests.
        seconds: limit for each cell.
        megabytes: limit of memory, beyond what Python and torch take.
    """
    submission, teacher = read_notebook(notebook), read_notebook(source)
    cells, missing = _merge(submission, teacher)
    errors, limits = _execute(cells, seconds, megabytes)
    answers = {_meta(cell).get("grade_id"): cell["source"] for cell in submission["cells"]}
    scores = []
    for cell in teacher["cells"]:
        meta = _meta(cell)
        if not meta.get("grade"):
            continue
        name, maximum = meta["grade_id"], float(meta["points"])
        if cell["cell_type"] == "code":
            message = errors.get(name, "it did not run.")
            if message and missing & _same_exercise(name, missing):
                message = "the answer cell is missing from the notebook."
            scores.append(Score(_number(name), 0.0 if message else maximum, maximum, message))
        elif answers.get(name, "").strip() in ("", "\n".join(TEXT_STUB)):
            scores.append(Score(_number(name), 0.0, maximum, "not answered."))
        else:
            scores.append(Score(_number(name), None, maximum, "a person reads this answer."))
    return Report(Path(notebook).name, tuple(scores), limits)


def _meta(cell: dict) -> dict:
    return cell["metadata"]["nbgrader"]


def _number(grade_id: str) -> str:
    """``04-1-test`` -> ``04.1``."""
    match = re.match(r"(\d+)-(\d+)", grade_id)
    return f"{match[1]}.{match[2]}" if match else grade_id


def _same_exercise(grade_id: str, names: set[str]) -> set[str]:
    return {name for name in names if _number(name) == _number(grade_id)}


def _merge(submission: dict, teacher: dict) -> tuple[list[dict], set[str]]:
    """The code cells to run in order, and the ids of answers that the submission lacks."""
    known = {cell["source"] for cell in teacher["cells"]}
    answers: dict[str, str] = {}
    extras: dict[str, list[str]] = {}  # the student's own cells, by the cell that they follow
    anchor = ""
    for cell in submission["cells"]:
        name = _meta(cell).get("grade_id")
        if name:
            anchor, answers[name] = name, cell["source"]
        elif cell["cell_type"] == "code" and cell["source"] not in known:
            extras.setdefault(anchor, []).append(cell["source"])
    cells, missing = [], set()

    def add(name: str, text: str) -> None:
        cells.append({"id": name, "source": text})

    def add_extras(after: str) -> None:
        for i, text in enumerate(extras.get(after, ())):
            add(f"own cell {i + 1} after {after or 'the start'}", text)

    add_extras("")
    for i, cell in enumerate(teacher["cells"]):
        name = _meta(cell).get("grade_id", f"cell {i + 1}")
        if cell["cell_type"] == "code":
            if not _meta(cell).get("solution"):
                add(name, cell["source"])
            elif name in answers:
                add(name, answers[name])
            else:
                missing.add(name)
        add_extras(name)
    return cells, missing


def _execute(cells: list[dict], seconds: float, megabytes: int) -> tuple[dict[str, str], str]:
    """Runs the cells in order; a cell that kills the process is left out of the next attempt."""
    fatal: dict[str, str] = {}
    while True:
        errors, limits, current = dict(fatal), "", ""
        job = {"cells": [cell for cell in cells if cell["id"] not in fatal]}
        for event in events(job, seconds, megabytes):
            if event["event"] == "ready":
                limits = event["limits"]
            elif event["event"] == "start":
                current = event["id"]
            elif event["event"] == "cell":
                errors[event["id"]] = event["error"]
            elif event["event"] == "killed":
                if not current:
                    raise RuntimeError(f"The grading process did not start: {event['why']}")
                fatal[current] = event["why"]
                break
        else:
            return errors, limits
