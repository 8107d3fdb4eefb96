"""``wmlearn teach release SOURCE OUT`` and ``wmlearn teach grade SOURCE SUBMISSION...``."""

from __future__ import annotations

import argparse
import csv
import sys

from wmlearn.teach import grade, release


def main(argv: list[str] | None = None) -> int:
    """The command line for teachers; see ``--help``. Returns 1 if a submission was unreadable."""
    parser = argparse.ArgumentParser(
        prog="wmlearn teach", description="Hand out and grade exercises."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("release", help="write the student's version of a notebook")
    make.add_argument("source", help="the teacher's notebook")
    make.add_argument("out", help="the student's notebook, to be written")
    mark = commands.add_parser("grade", help="grade submitted notebooks")
    mark.add_argument("source", help="the teacher's notebook, with the hidden tests")
    mark.add_argument("submissions", nargs="+", help="the students' notebooks")
    mark.add_argument("--seconds", type=float, default=60, help="limit for each cell")
    mark.add_argument("--megabytes", type=int, default=2048, help="limit of memory")
    mark.add_argument("--csv", help="also write the points to this file")
    options = parser.parse_args(argv)
    if options.command == "release":
        print(f"wrote {release(options.source, options.out)}")
        return 0
    rows, unreadable = [], 0
    for path in options.submissions:
        try:
            report = grade(path, options.source, options.seconds, options.megabytes)
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
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("notebook", "exercise", "points", "maximum"), *rows])
    return unreadable


if __name__ == "__main__":
    sys.exit(main())
