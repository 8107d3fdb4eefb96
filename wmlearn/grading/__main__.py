"""``wmlearn teach``: hand out exercises, grade them, give them back.

In a course folder (nbgrader's, so Formgrader shows the same): release, collect, grade, feedback,
export. Without one: ``release SOURCE.ipynb OUT.ipynb`` and ``grade SOURCE.ipynb SUBMISSION...``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from wmlearn.files import write_whole
from wmlearn.grading import grade, release
from wmlearn.grading.sandbox import find_sandbox, require_box
from wmlearn.grading.tables import table_text
from wmlearn.spelling import Parser


def main(argv: list[str] | None = None) -> int:
    """The command line for teachers; see ``--help``. Returns 1 if a submission was unreadable."""
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show stops nothing
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(argv)
    return options.run(options) or 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wmlearn teach", description="Hand out exercises, grade them, give them back."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def course(made: argparse.ArgumentParser) -> None:
        made.add_argument("--course", default=".", help="the course's folder (default: this one)")

    made = command("release", _release, "write the students' version of an exercise")
    made.add_argument("what", help="a chapter (04), or a teacher's notebook")
    made.add_argument("out", nargs="?", help="the student's notebook, when there is no course")
    made.add_argument("--to", metavar="COURSE", help="the course's folder; made if it is missing")
    made.add_argument("--public", action="store_true", help="the public parameters and seeds")
    made.add_argument("--solutions", action="store_true", help="after the deadline: with solutions")

    made = command(
        "collect", _collect, "import submissions from Canvas, Moodle, Gradescope, Brightspace"
    )
    made.add_argument("what", help="the assignment, such as 04")
    made.add_argument("files", nargs="+", help="zip files or folders")
    course(made)

    made = command("grade", _grade, "grade submissions")
    made.add_argument("what", help="the assignment, such as 04, or a teacher's notebook")
    made.add_argument("submissions", nargs="*", help="notebooks, when there is no course")
    course(made)
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="submissions at a time")
    made.add_argument("--fresh", action="store_true", help="ignore earlier results")
    made.add_argument(
        "--no_sandbox", action="store_true", help="grade also where bubblewrap is missing"
    )
    made.add_argument(
        "--seconds", type=float, default=60, help="time limit of a cell, without a course"
    )
    made.add_argument(
        "--megabytes", type=int, default=2048, help="memory limit in MB, without a course"
    )
    made.add_argument("--csv", help="also write the points to this file")

    made = command("feedback", _feedback, "write each student's page, without hidden tests")
    made.add_argument("what", help="the assignment, such as 04")
    course(made)

    made = command("export", _export, "export points as CSV, plain or for Canvas or Moodle")
    made.add_argument("what", help="the assignment, such as 04")
    course(made)
    made.add_argument("--format", choices=("plain", "canvas", "moodle"), default="plain")
    made.add_argument(
        "--roster", type=Path, help="Canvas's exported gradebook, or Moodle's grading worksheet"
    )
    made.add_argument("--column", default="", help='the title in Canvas, as "Exercise 4 (1234)"')
    made.add_argument("--out", type=Path, help="the file (default: NAME.csv in the course)")

    made = command("gradescope", _gradescope, "make Gradescope's autograder zip (otter-grader)")
    made.add_argument("what", help="a chapter (04), or a teacher's notebook")
    made.add_argument("--course", help="take this course's variant")
    made.add_argument("--out", type=Path, default=Path("gradescope"), help="a folder")

    made = command("github", _github, "write a student repository and a grading repository")
    made.add_argument("what", help="the assignment, such as 04")
    course(made)
    made.add_argument("--out", type=Path, default=Path("github"), help="a folder")
    return parser


def _release(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import Course, find_exercise

    if bool(options.to) == bool(options.out):
        raise ValueError(
            "Say where to: `wmlearn teach release 04 --to COURSE`, or, without a course, "
            "`wmlearn teach release SOURCE.ipynb STUDENT.ipynb`."
        )
    if options.solutions and not options.out:
        raise ValueError(
            "Solutions go into a file of their own, after the deadline: `wmlearn teach release "
            "SOURCE.ipynb STUDENT.ipynb --solutions`."
        )
    source = find_exercise(options.what)
    if options.out:
        print(f"wrote {release(source, options.out, options.solutions)}")
        return 0
    _warn()
    course = Course(options.to)
    name, words = course.release(source, private=not options.public)
    print("\n".join([f"released {name}; particular to this course:", *(f"  {w}" for w in words)]))
    print(f"give to students: {course.root}/release/{name}/{name}.ipynb")
    return 0


def _collect(options: argparse.Namespace) -> int:
    from wmlearn.grading.collecting import collect
    from wmlearn.grading.course import Course

    course = Course.open(options.course)
    name = course.assignment(options.what)
    found = collect(course, name, map(Path, options.files))
    print(f"{len(found.students)} submissions: {', '.join(found.students) or 'none'}")
    counts = ", ".join(f"{n} {what}" for what, n in found.counts.items())
    print(f"{len(found.lines)} files ({counts}); each in {course.root / f'{name}-collected.csv'}")
    for words in found.lost:
        print(f"  NOT TAKEN: {words}")
    return 1 if found.lost else 0


def _grade(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import Course

    require_box(options.no_sandbox)
    _warn()
    if options.submissions:
        return _grade_files(options)
    course = Course.open(options.course)
    name = course.assignment(options.what)
    rows = course.grade(
        name, options.jobs, options.fresh, lambda text: print(text, flush=True), options.no_sandbox
    )
    path = Path(options.csv) if options.csv else course.root / f"{name}-details.csv"
    lines = [
        (row.student, item.exercise, "" if item.points is None else f"{item.points:g}",
         f"{item.maximum:g}", item.message.replace("\n", " "), "; ".join(row.report.notes))
        for row in rows
        for item in row.report.scores
    ]  # fmt: skip
    _write_csv(path, [("student", "exercise", "points", "maximum", "message", "notes"), *lines])
    unreadable, failed = (
        [r.student for r in rows if any(n.startswith(word) for n in r.report.notes)]
        for word in ("UNREADABLE", "NOT GRADED")
    )
    print(f"{len(rows) - len(failed)} graded; details in {path}")
    if unreadable:
        print(f"not readable, 0 points, ask for them again: {', '.join(unreadable)}")
    if failed:
        print(f"not graded, see their notes and run this again: {', '.join(failed)}")
    return 1 if unreadable or failed else 0


def _grade_files(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import find_exercise

    source = find_exercise(options.what)
    rows, unreadable = [], 0
    for path in options.submissions:
        try:
            report = grade(
                path, source, options.seconds, options.megabytes, no_sandbox=options.no_sandbox
            )
        except ValueError as error:
            print(error)
            unreadable = 1
            continue
        print(report)
        rows += [
            (path, score.exercise, "" if score.points is None else score.points, score.maximum)
            for score in report.scores
        ]
    if options.csv:
        _write_csv(Path(options.csv), [("notebook", "exercise", "points", "maximum"), *rows])
    return unreadable


def _feedback(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import Course

    course = Course.open(options.course)
    pages = course.feedback(course.assignment(options.what))
    print(f"{len(pages)} pages in {course.root}/feedback/STUDENT/")
    return 0


def _export(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import Course
    from wmlearn.grading.export import export

    course = Course.open(options.course)
    name = course.assignment(options.what)
    out = options.out or course.root / f"{name}.csv"
    made = export(course, name, options.format, options.roster, options.column)
    write_whole(out, made.text)
    print(f"wrote {out}")
    if made.left:
        print(
            f"NOT IN {options.roster}, and so not exported: {', '.join(made.left)}. Their points "
            "are in the gradebook; --format plain lists everybody."
        )
    return 1 if made.left else 0


def _gradescope(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import Course, find_exercise
    from wmlearn.grading.gradescope import make_zip

    if options.course:
        course = Course.open(options.course)
        name = course.assignment(options.what)
        source = course.root / "source" / name / f"{name}.ipynb"
    else:
        source = find_exercise(options.what)
    made = make_zip(source, options.out)
    print(f"upload to Gradescope: {made.autograder}\ngive to students: {made.student}")
    return 0


def _github(options: argparse.Namespace) -> int:
    from wmlearn.grading.course import Course
    from wmlearn.grading.github import write_repositories

    course = Course.open(options.course)
    student, grading = write_repositories(course, course.assignment(options.what), options.out)
    print(f"students' template repository: {student}\nyour private repository: {grading}")
    return 0


def _warn() -> None:
    if missing := find_sandbox().missing:
        print(f"WARNING: {missing}", file=sys.stderr)


def _write_csv(path: Path, rows: list[tuple]) -> None:
    write_whole(path, table_text(rows))


if __name__ == "__main__":
    sys.exit(main())
