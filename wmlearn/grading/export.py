"""Points as a table: plain, or with the columns that Canvas and Moodle import."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from wmlearn.grading.course import Course

FORMATS = ("plain", "canvas", "moodle")
_CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]


def export(course: Course, name: str, kind: str = "plain", roster: Path | None = None) -> str:
    """The gradebook's points of one assignment as CSV text, sorted by student.

    Manual points count as soon as someone gave them; a row says how many parts still wait.

    Args:
        course: where the gradebook is.
        name: the assignment, such as ``04_diamond``.
        kind: ``plain`` (a column for each exercise), ``canvas`` or ``moodle``.
        roster: for Canvas, the gradebook exported there: its own columns are taken over. Students
            are matched by "SIS Login ID", "SIS User ID" or "ID".
    """
    if kind not in FORMATS:
        raise ValueError(f"There is no format {kind!r}; choose from {', '.join(FORMATS)}.")
    students, maximum, exercises = _points(course, name)
    if kind == "plain":
        header = ["student", "assignment", *exercises, "points", "maximum", "to read"]
        rows = [
            [s, name, *(_number(p) for p in parts), _number(sum(parts)), _number(maximum), str(n)]
            for s, parts, n in students
        ]
        return _text([header, *rows])
    if kind == "moodle":
        rows = [[s, _number(sum(parts))] for s, parts, _ in students]
        return _text([["Username", name], *rows])
    totals = {s: _number(sum(parts)) for s, parts, _ in students}
    head = [*_CANVAS, name]
    possible = ["    Points Possible", "", "", "", "", _number(maximum)]
    if roster is None:
        return _text([head, possible, *([s, "", "", s, "", p] for s, p in totals.items())])
    lines = []
    for row in _read(roster):
        keys = (row.get("SIS Login ID"), row.get("SIS User ID"), row.get("ID"))
        student = next((key for key in keys if key in totals), None)
        if row.get("Student", "").strip() and "Points Possible" not in row["Student"]:
            points = totals.pop(student, "") if student else ""
            lines.append([*(row.get(column) or "" for column in _CANVAS), points])
    if totals:
        raise ValueError(f"{roster} has no line for: {', '.join(totals)}.")
    return _text([head, possible, *lines])


def _points(course: Course, name: str) -> tuple[list[tuple], float, list[str]]:
    """For each student the points of each graded cell and how many parts wait for a reader."""
    students = []
    with course.api().gradebook as book:
        assignment = book.find_assignment(name)
        cells = [
            (notebook.name, cell.name, cell.max_score)
            for notebook in assignment.notebooks
            for cell in notebook.grade_cells
        ]
        cells.sort(key=lambda item: item[1])
        for submission in book.assignment_submissions(name):
            found = {
                (notebook.name, grade.cell.name): grade
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            parts = [found[key[:2]].score if key[:2] in found else 0.0 for key in cells]
            waiting = sum(grade.needs_manual_grade for grade in found.values())
            students.append((submission.student.id, parts, waiting))
    return sorted(students), sum(c[2] for c in cells), [c[1] for c in cells]


def _read(roster: Path) -> list[dict]:
    with open(roster, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _number(x: float) -> str:
    return f"{x:g}"


def _text(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: str) -> str:
    """A spreadsheet must not take a student's name for a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
