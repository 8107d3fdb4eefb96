"""Grading a submitted notebook: the student's answers in a box, the teacher's tests outside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from wmlearn.grading.judges import judge
from wmlearn.grading.merging import (
    Plan,
    answered,
    exercise_of,
    plan,
)
from wmlearn.grading.reading import clean, read_submission
from wmlearn.grading.releasing import read_notebook
from wmlearn.grading.sandbox import require_box

_MESSAGE = 500  # characters of a message that are kept


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        seconds: wall-clock time of one cell.
        total: wall-clock time, and as much of the processor's, of all processes of the notebook;
            only the start of the first is free.
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
    """

    errors: dict[str, str]
    outputs: dict[str, str]
    limits: str


def grade(
    notebook: str | Path,
    source: str | Path,
    seconds: float = 60,
    megabytes: int = 2048,
    total: float = 300,
    no_sandbox: bool = False,
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
        total: limit in seconds for the whole notebook, by the wall clock and of the processor.
        no_sandbox: grade also where there is no box around the student's process.
    """
    require_box(no_sandbox)
    submission, teacher = read_submission(notebook), read_notebook(source)
    planned = plan(submission, teacher)
    outcome = run_plan(planned, teacher, Limits(seconds, total, megabytes))
    return report(Path(notebook).name, planned, outcome, teacher)


def report(name: str, planned: Plan, outcome: Outcome, teacher: dict) -> Report:
    """Points and remarks of a plan that was run."""
    return Report(name, score(planned, outcome, teacher), outcome.limits, planned.notes)


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
    """Has a judge run the cells and the tests; a cell that kills its process is left out then.

    Raises:
        RuntimeError: if the judging itself failed, whatever the submission is.
    """
    locked = [
        cell["source"]
        for cell in teacher["cells"]
        if cell["cell_type"] == "code"
        and cell["metadata"]["nbgrader"].get("locked")
        and not cell["metadata"]["nbgrader"].get("grade")
    ]
    found = judge({"cells": planned.cells, "locked": locked, **asdict(limits)})
    late = f"it was not run: the notebook had used up its {limits.total:g} s."
    errors = {cell["id"]: _short(found["errors"].get(cell["id"], late)) for cell in planned.cells}
    words = f"{limits.seconds:g} s for a cell, {limits.total:g} s in all; {found['limits']}"
    return Outcome(errors, found["outputs"], words)


def _short(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _MESSAGE else text[:_MESSAGE] + " ..."
