"""How long a batch takes: grades copies of the solved exercise, each with its own comment.

    python tools/grade_many.py --count 100 --jobs 2 --kill_after 30

With ``--kill_after`` the first attempt is killed by SIGKILL after so many seconds and started
again; the table shows that the second attempt ran only what was missing.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time

from wmlearn.grading.course import Course, find_exercise
from wmlearn.grading.releasing import read_notebook, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--exercise", default="04")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kill_after", type=float, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        course = Course(folder)
        name, _ = course.release(find_exercise(options.exercise))
        for number in range(options.count):
            _submit(course, name, f"student{number:03}")
        command = [sys.executable, "-m", "wmlearn.grading", "grade", name, "--course", folder]
        command += ["--jobs", str(options.jobs)]
        if options.kill_after:
            first = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
            time.sleep(options.kill_after)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
        kept = len(list((course.root / ".graded" / name).glob("*.json")))
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        with course.api().gradebook as book:
            scores = {s.score for s in book.assignment_submissions(name)}
            graded = len(book.assignment_submissions(name))
        print(f"{kept} results were there before; {graded} graded; points {sorted(scores)}")
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


if __name__ == "__main__":
    main()
