"""How long a batch takes: grades copies of the solved exercise, each with its own comment.

    python tools/grade_many.py --count 100 --jobs 2 --kill_after 30
    python tools/grade_many.py --count 300 --jobs 2 --hostile 0.1

With ``--kill_after`` the first attempt is killed by SIGKILL after so many seconds and started
again; the table shows that the second attempt ran only what was missing. With ``--hostile`` that
share of the submissions is hostile, one of ``tests/shared/hostile.py`` after the other, and the
points of the others are compared with what a clean batch gets.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wmlearn.grading.course import Course, find_exercise
from wmlearn.grading.releasing import read_notebook, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--exercise", default="04")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kill_after", type=float, default=0)
    parser.add_argument("--hostile", type=float, default=0, help="share of the submissions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        course = Course(folder)
        name, _ = course.release(find_exercise(options.exercise))
        bad = round(options.hostile * options.count)
        for number in range(options.count - bad):
            _submit(course, name, f"student{number:03}")
        _submit_hostile(course, name, bad)
        command = [sys.executable, "-m", "wmlearn.grading", "grade", name, "--course", folder]
        command += ["--jobs", str(options.jobs)]
        if options.kill_after:
            first = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
            time.sleep(options.kill_after)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
        kept = len(list((course.root / ".graded" / name).glob("*.json")))
        start = time.monotonic()
        ended = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        seconds = time.monotonic() - start
        with course.api().gradebook as book:
            points = {s.student.id: s.score for s in book.assignment_submissions(name)}
        graded = len(points)
        honest = {score for student, score in points.items() if student.startswith("student")}
        print(f"{kept} results were there before; {graded} graded; exit status {ended}")
        print(f"points of the {graded - bad} honest ones: {sorted(honest)}")
        print(f"{seconds:.0f} s for the {graded - kept} others, {options.jobs} at a time")
        print(f"load of the machine over these minutes: {os.getloadavg()[1]:.1f}")


def _submit(course: Course, name: str, student: str) -> None:
    notebook = read_notebook(course.root / "source" / name / f"{name}.ipynb")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["metadata"]["nbgrader"].get("solution"):
            cell["source"] = f"# {student}\n{cell['source']}"
    target = course.root / "submitted" / student / name
    target.mkdir(parents=True)
    (target / f"{name}.ipynb").write_text(render(notebook), encoding="utf-8")


def _submit_hostile(course: Course, name: str, count: int) -> None:
    if not count:
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/shared"))
    import hostile
    import hostile_more

    assert hostile_more.PIPE  # it has added its own to HOSTILE
    notebook = read_notebook(course.root / "source" / name / f"{name}.ipynb")
    kinds, place = list(hostile.HOSTILE), hostile.Place(course.root, 9)
    for number in range(count):
        target = course.root / "submitted" / f"hostile{number:03}" / name / f"{name}.ipynb"
        hostile.write(target, notebook, place, kinds[number * 7 % len(kinds)])


if __name__ == "__main__":
    main()
