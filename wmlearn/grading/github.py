"""For a course with nothing but Git: a template repository for students, one for grading.

The students' workflow runs the visible checks at every push and needs no secret. The grading
repository is private: it holds the course folder, fetches the students' repositories, grades them
inside bubblewrap, and keeps the points and the feedback as artifacts.
"""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from wmlearn.files import write_whole
from wmlearn.grading.course import Course


def write_repositories(course: Course, name: str, out: Path) -> tuple[Path, Path]:
    """Writes ``out/student`` and ``out/grading``; returns both folders.

    Args:
        course: where the assignment was released.
        name: the assignment.
        out: a folder; files of an earlier call are replaced.
    """
    student, grading = out / "student", out / "grading"
    released = course.root / "release" / name / f"{name}.ipynb"
    if not released.is_file():
        raise ValueError(f"{name} is not released: wmlearn teach release {name} --to {course.root}")
    for folder in (student, student / ".tests"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(released, folder / f"{name}.ipynb")
    _workflow(student, "check.yml", name)
    target = grading / "course"
    (target / "source" / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(course.root / "source" / name / f"{name}.ipynb", target / "source" / name)
    config = (course.root / "nbgrader_config.py").read_text(encoding="utf-8")
    lines = [line for line in config.splitlines() if "CourseDirectory.root" not in line]
    write_whole(target / "nbgrader_config.py", "\n".join(lines) + "\n")
    if not (grading / "students.txt").exists():
        write_whole(grading / "students.txt", "# student repository, one a line\n")
    _workflow(grading, "grade.yml", name)
    return student, grading


def _workflow(folder: Path, template: str, name: str) -> None:
    text = (files("wmlearn.grading") / "templates" / template).read_text(encoding="utf-8")
    target = folder / ".github" / "workflows" / template
    write_whole(target, text.replace("NAME", name))
