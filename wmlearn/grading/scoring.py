"""Grading a submitted notebook: the student's answers, the teacher's tests, a limited process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from wmlearn.grading.limits import events
from wmlearn.grading.merging import (
    Plan,
    answered,
    exercise_of,
    hidden_lines,
    plan,
    without_hidden,
)
from wmlearn.grading.reading import read_submission
from wmlearn.grading.releasing import read_notebook

_MESSAGE = 500  # characters of a message that are kept


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        seconds: wall-clock time of one cell.
        total: wall-clock time of the whole notebook, restarts included.
        megabytes: memory, beyond what Python and torch take.
    """

    seconds: float = 60
    total: float = 300
    megabytes: int = 2048


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
        notes: what is unusual in the submission: reasons for a person to look at it.
    """

    notebook: str
    scores: tuple[Score, ...]
    limits: str
    notes: tuple[str, ...] = ()

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
        rows += [f"  look at: {note}" for note in self.notes]
        return "\n".join([*rows, f"  limits: {self.limits}"])

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "points": self.points, "maximum": self.maximum})


@dataclass(frozen=True)
class Outcome:
    """What came out of running a plan.

    Attributes:
        errors: for each cell that ran, empty or what went wrong.
        outputs: what the student's cells printed, cut to 10,000 characters each.
        limits: under which limits it ran.
        notes: what the cells had changed that is not theirs.
    """

    errors: dict[str, str]
    outputs: dict[str, str]
    limits: str
    notes: tuple[str, ...]


def grade(
    notebook: str | Path,
    source: str | Path,
    seconds: float = 60,
    megabytes: int = 2048,
    total: float = 300,
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
        total: limit in seconds for the whole notebook.
    """
    submission, teacher = read_submission(notebook), read_notebook(source)
    planned = plan(submission, teacher)
    outcome = run_plan(planned, teacher, Limits(seconds, total, megabytes))
    return report(Path(notebook).name, planned, outcome, teacher)


def report(name: str, planned: Plan, outcome: Outcome, teacher: dict) -> Report:
    """Points and remarks of a plan that was run."""
    notes = tuple(dict.fromkeys(planned.notes + outcome.notes))
    return Report(name, score(planned, outcome, teacher), outcome.limits, notes)


def score(planned: Plan, outcome: Outcome, teacher: dict) -> tuple[Score, ...]:
    """The points of each graded cell, in the notebook's order."""
    scores = []
    for cell in teacher["cells"]:
        meta = cell["metadata"]["nbgrader"]
        if not meta.get("grade"):
            continue
        name, maximum = meta["grade_id"], float(meta["points"])
        if cell["cell_type"] == "code":
            message = outcome.errors.get(name, "it did not run.")
            if message and any(exercise_of(m) == exercise_of(name) for m in planned.missing):
                message = "the answer cell is missing from the notebook."
            points: float | None = 0.0 if message else maximum
        elif answered(planned.answers.get(name, "")):
            points, message = None, "a person reads this answer."
        else:
            points, message = 0.0, "not answered."
        scores.append(Score(exercise_of(name), points, maximum, message))
    return tuple(scores)


def run_plan(planned: Plan, teacher: dict, limits: Limits) -> Outcome:
    """Runs the cells in order; a cell that kills the process is left out of the next attempt."""
    secret = hidden_lines(teacher)
    fatal: dict[str, str] = {}
    spent, notes = 0.0, []
    words = f"{limits.seconds:g} s for a cell, {limits.total:g} s in all"
    while True:
        errors: dict[str, str] = {}
        outputs: dict[str, str] = {}
        current, cause = "", ""
        job = {
            "cells": [cell for cell in planned.cells if cell["id"] not in fatal],
            "open_names": planned.open_names,
        }
        for event in events(job, limits.seconds, limits.megabytes):
            now = time.monotonic()
            if event["event"] == "ready":
                words, begun = f"{words.split(';')[0]}; {event['limits']}", now
            elif event["event"] == "start":
                current = event["id"]
                if spent + now - begun > limits.total:
                    break
            elif event["event"] == "cell":
                name = event["id"]
                errors[name] = _short(event["error"], secret)
                if text := without_hidden(str(event.get("output", "")), secret):
                    outputs[name] = text
                notes += [f"{name}: {what} had been replaced (the original was used)"
                          for what in event.get("changed", ())]  # fmt: skip
            elif event["event"] == "killed":
                if not current:
                    raise RuntimeError(f"The grading process did not start: {event['why']}")
                fatal[current], cause = event["why"], event["why"]
                spent += now - begun
                break
        if cause and spent < limits.total:
            continue
        late = f"it was not run: the notebook had used up its {limits.total:g} s."
        for cell in planned.cells:
            errors.setdefault(cell["id"], fatal.get(cell["id"], late))
        return Outcome(errors, outputs, words, tuple(dict.fromkeys(notes)))


def _short(error: object, secret: Iterable[str]) -> str:
    text = without_hidden(str(error), set(secret))
    return text if len(text) <= _MESSAGE else text[:_MESSAGE] + " ..."
