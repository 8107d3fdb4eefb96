"""Points as a table: plain, or with the columns that Canvas and Moodle import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wmlearn.grading.course import Course
from wmlearn.grading.gradebook import safe_id
from wmlearn.grading.tables import Table, read_table, table_text

FORMATS = ("plain", "canvas", "moodle")
_CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]


@dataclass(frozen=True)
class Exported:
    """Points as CSV.

    Attributes:
        text: the table.
        left: students of the gradebook who have no line in the roster, and so none in the table.
    """

    text: str
    left: tuple[str, ...] = ()


def export(
    course: Course, name: str, kind: str = "plain", roster: Path | None = None, column: str = ""
) -> Exported:
    """The gradebook's points of one assignment, sorted by student, or as the roster is.

    Manual points count as soon as someone gave them; a row says how many parts still wait.

    Args:
        course: where the gradebook is.
        name: the assignment, such as ``04_diamond``.
        kind: ``plain`` (a column for each exercise), ``canvas`` or ``moodle``.
        roster: for Canvas, the gradebook exported there; its own columns are taken over, and
            students are matched by "ID", "SIS User ID" or "SIS Login ID". For Moodle, the grading
            worksheet of the assignment, which is given back with its grades filled in; students
            are matched by the participant number in "Identifier", or by "Username", "ID number"
            or "Email address".
        column: for Canvas, the assignment's title there, such as "Exercise 4 (1234)"; by default
            the roster's column that begins with ``name``, or ``name``.

    Raises:
        ValueError: if no student of the gradebook is in the roster, one is in it twice, or it is
            no such table.
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
        return Exported(table_text([header, *rows]))
    totals = {s: _number(sum(parts)) for s, parts, _ in students}
    if roster is None and kind == "moodle":
        return Exported(table_text([["Username", name], *totals.items()]))
    if roster is None:
        possible = ["    Points Possible", "", "", "", "", _number(maximum)]
        rows = [[s, "", "", s, "", p] for s, p in totals.items()]
        return Exported(table_text([[*_CANVAS, column or name], possible, *rows]))
    table = read_table(roster)
    if kind == "moodle":
        return _worksheet(table, totals, roster, maximum)
    return _gradebook(table, totals, roster, maximum, name, column)


def _gradebook(
    table: Table, totals: dict[str, str], roster: Path, maximum: float, name: str, column: str
) -> Exported:
    """Canvas's own columns, up to the section, and the assignment's."""
    if "Section" not in table.header or not {*_CANVAS[1:4]} & {*table.header}:
        raise ValueError(f"{roster} is not a gradebook that Canvas exported: it has no ID column.")
    own = table.header.index("Section") + 1
    titles = [title for title in table.header[own:] if title.split(" (")[0] == name]
    matched, left = _matched(table, totals, ("ID", "SIS User ID", "SIS Login ID"), roster)
    possible = ["    Points Possible", *[""] * (own - 1), _number(maximum)]
    rows = [
        [*row[:own], matched.get(i, "")]
        for i, row in enumerate(table.rows)
        if row[0].strip() and "Points Possible" not in row[0]
    ]
    title = column or (titles[0] if titles else name)
    text = table_text([[*table.header[:own], title], possible, *rows], table.delimiter)
    return Exported(text, left)


def _worksheet(table: Table, totals: dict[str, str], roster: Path, maximum: float) -> Exported:
    """Moodle's grading worksheet, each cell as it was but for the grades."""
    if "Grade" not in table.header:
        raise ValueError(
            f'{roster} is not a grading worksheet: it has no column "Grade". In Moodle, allow '
            '"Offline grading worksheet" and choose "Download grading worksheet".'
        )
    grade = table.header.index("Grade")
    keys = ("Identifier", "Username", "ID number", "Email address")
    matched, left = _matched(table, totals, keys, roster)
    if "Maximum Grade" in table.header:
        most = {row[table.header.index("Maximum Grade")] for row in table.rows} - {""}
        if any(m.replace(",", ".").rstrip("0").rstrip(".") != f"{maximum:g}" for m in most):
            raise ValueError(
                f"{roster} counts to {', '.join(sorted(most))} points and this assignment to "
                f"{maximum:g}: set its maximum grade in Moodle to {maximum:g}."
            )
    rows = [[*row[:grade], matched.get(i, row[grade]), *row[grade + 1 :]]
            for i, row in enumerate(table.rows)]  # fmt: skip
    return Exported(table_text([table.header, *rows], table.delimiter), left)


def _matched(
    table: Table, totals: dict[str, str], columns: Sequence[str], roster: Path
) -> tuple[dict[int, str], tuple[str, ...]]:
    """The points of each row that is a student's, and who has no row.

    One column is tried after the other.
    """
    found: dict[int, str] = {}
    left = dict(totals)
    for title in columns:
        if title not in table.header:
            continue
        at = table.header.index(title)
        cells = [_key(row[at]) for row in table.rows]
        for i, cell in enumerate(cells):
            if cell in left and i not in found:
                if cells.count(cell) > 1:
                    raise ValueError(f"{roster} has several lines for {cell} ({title}).")
                found[i] = left.pop(cell)
    if left and not found:
        raise ValueError(
            f"{roster} has a line for none of the course's students ({', '.join(left)}): "
            "export the roster of this course."
        )
    return found, tuple(left)


def _key(cell: str) -> str:
    """An id as ``collect`` makes it. Moodle writes "Participant 123" where ids are numbers."""
    text = cell.strip()
    first, _, number = text.rpartition(" ")
    return safe_id(number if first and number.isdigit() else text) if text else ""


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


def _number(x: float) -> str:
    return f"{x:g}"
