"""An instructor's course on disk: nbgrader's folders and gradebook, our box around the grading.

    COURSE/
      nbgrader_config.py   points nbgrader and Formgrader at our sandbox; read it, change it
      private.json         the course's secret: parameters and hidden seeds; never give it away
      source/NAME/         the teacher's notebook, this course's variant
      release/NAME/        what students get
      submitted/STUDENT/NAME/NAME.ipynb
      autograded/, feedback/, gradebook.db   nbgrader's own
      .graded/             results of runs, so that an interrupted batch goes on where it was

Everything that nbgrader can do is done by its own ``NbGraderAPI``, so Formgrader shows the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from wmlearn.files import write_whole
from wmlearn.grading.gradebook import check_gradebook, find_scripts, read_stamp, safe_id
from wmlearn.grading.judges import close_idle
from wmlearn.grading.merging import Plan, blank, merged_notebook, plan
from wmlearn.grading.reading import read_submission
from wmlearn.grading.records import key_of, load_outcome, save_outcome
from wmlearn.grading.releasing import read_notebook, render
from wmlearn.grading.sandbox import require_box
from wmlearn.grading.scoring import Limits, Outcome, Report, report, run_plan, score
from wmlearn.grading.variants import make_variant

CONFIG = '''\
"""nbgrader's settings for this course. Formgrader and `wmlearn teach` both read them.

Submissions run in wmlearn's sandbox (own process, limits, no network), also when you press the
lightning bolt in Formgrader.
"""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {name!r}
c.CourseDirectory.root = {root!r}
c.Autograde.sanitize_preprocessors = ["wmlearn.grading.nbgrader_parts.TeachersCells"]
c.Autograde.autograde_preprocessors = [
    "wmlearn.grading.nbgrader_parts.RunInBox",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
]
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "wmlearn.grading.nbgrader_parts.HideTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
# Limits of one submission: seconds for a cell, seconds in all, megabytes of memory.
c.RunInBox.seconds, c.RunInBox.total, c.RunInBox.megabytes = 60, 300, 2048
c.RunInBox.no_sandbox = False  # True: grade also where there is no box; trust everybody then
'''
EXERCISES = "notebooks/exercises"


class Row(NamedTuple):
    """One student's result of one assignment."""

    student: str
    report: Report


class Course:
    """A course folder. Methods raise ``ValueError`` with one sentence that says what to do."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).resolve()

    @classmethod
    def open(cls, root: str | Path) -> Course:
        course = cls(root)
        if not (course.root / "nbgrader_config.py").is_file():
            raise ValueError(
                f"{root} is no course yet: make one with "
                f"`wmlearn teach release 04 --to {root}`, or give --course FOLDER."
            )
        return course

    def create(self) -> None:
        """Makes the folder, nbgrader's settings and the course's secret, where they are missing."""
        self.root.mkdir(parents=True, exist_ok=True)
        config = self.root / "nbgrader_config.py"
        if not config.exists():
            write_whole(config, CONFIG.format(name=self.root.name, root=str(self.root)))
        private = self.root / "private.json"
        if not private.exists():
            write_whole(private, json.dumps({"secret": secrets.token_hex(16)}, indent=1) + "\n")
            private.chmod(0o600)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            write_whole(ignore, "private.json\ngradebook.db\n.graded/\nsubmitted/\nautograded/\n")

    @property
    def secret(self) -> str:
        path = self.root / "private.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["secret"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ValueError(f'{path} is damaged: it should hold {{"secret": "..."}}.') from None

    def release(self, source: Path, private: bool = True) -> tuple[str, list[str]]:
        """Puts an exercise into the course: teacher's variant, students' version, gradebook.

        Args:
            source: the exercise's notebook, with solutions.
            private: draw parameters and hidden seeds for this course; else the public ones.

        Returns:
            The assignment's name, and what is particular to this course, in words.

        Raises:
            ValueError: if the solutions do not get all points, or empty answers any.
        """
        self.create()
        name = source.stem
        notebook, words = read_notebook(source), ["the public exercise, its parameters and seeds"]
        if private:
            notebook, words = make_variant(notebook, source, self.secret)
        self._prove(notebook)
        folder = self.root / "source" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{name}.ipynb", render(notebook))
        self._call(lambda api: api.generate_assignment(name), f"release {name}")
        return name, words

    def _prove(self, notebook: dict) -> None:
        """The solutions pass, and answers that are not there do not."""
        for submission, full in ((notebook, True), (blank(notebook), False)):
            planned = plan(submission, notebook)
            scores = score(planned, run_plan(planned, notebook, Limits()), notebook)
            for item in scores:
                if item.points is not None and item.points != (item.maximum if full else 0):
                    who = "the solution" if full else "an empty answer"
                    raise ValueError(
                        f"{item.exercise}: {who} gets {item.points:g} of {item.maximum:g} points "
                        f"({item.message or 'passed'}). The exercise was not released."
                    )

    def assignment(self, what: str) -> str:
        """The full name of a released assignment: ``04`` -> ``04_diamond``."""
        names = sorted(path.name for path in (self.root / "source").glob("*") if path.is_dir())
        found = [name for name in names if name == what] or [
            name for name in names if name.startswith(what)
        ]
        if len(found) != 1:
            have = ", ".join(names) or "none yet"
            raise ValueError(f"There is no assignment {what!r} in {self.root}; it has: {have}.")
        return found[0]

    def teacher(self, name: str) -> dict:
        return read_notebook(self.root / "source" / name / f"{name}.ipynb")

    def submissions(self, name: str) -> dict[str, Path]:
        """The submitted notebook of each student, sorted; it may be missing or unreadable.

        A folder whose name cannot be an id, such as ``x[1]``, has the id that ``safe_id`` makes.
        """
        folders = (path / name for path in sorted((self.root / "submitted").glob("*")))
        return {safe_id(p.parent.name): p / f"{name}.ipynb" for p in folders if p.is_dir()}

    def grade(
        self,
        name: str,
        jobs: int = 2,
        fresh: bool = False,
        say: Any = print,
        no_sandbox: bool = False,
    ) -> list[Row]:
        """Grades all submissions of an assignment, and writes points into nbgrader's gradebook.

        Runs ``jobs`` submissions at a time. Each result is kept as soon as it is there; a second
        call runs only what is new or has changed.

        Args:
            name: the assignment.
            jobs: submissions at a time.
            fresh: forget earlier results and run all again.
            say: gets a line for each submission.
            no_sandbox: grade also where there is no box around the students' processes.
        """
        require_box(no_sandbox)
        found = self.submissions(name)
        if not found:
            raise ValueError(
                f"There are no submissions: put them at {self.root}/submitted/STUDENT/{name}/"
                f"{name}.ipynb, or use `wmlearn teach collect`."
            )
        store = self.root / ".graded" / name
        if fresh:
            shutil.rmtree(store, ignore_errors=True)
        teacher, limits = self.teacher(name), self.limits()
        check_gradebook(self.root)
        rows: dict[str, Row] = {}
        with _claim(self.root / ".graded"), ThreadPoolExecutor(max(1, jobs)) as pool:
            waiting = {
                pool.submit(self._run, student, path, teacher, limits, store): student
                for student, path in found.items()
            }
            try:
                for done in as_completed(waiting):
                    student = waiting[done]
                    try:
                        rows[student] = self._row(name, student, *done.result(), teacher, limits)
                    except Exception as error:  # one submission never stops the others
                        rows[student] = _not_graded(name, student, teacher, error)
                    say(_line(rows[student]))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
                close_idle()
        return [rows[student] for student in sorted(rows)]

    def _row(
        self,
        name: str,
        student: str,
        planned: Plan,
        outcome: Outcome,
        teacher: dict,
        limits: Limits,
    ) -> Row:
        """Writes one student's result into the gradebook."""
        merged = render(merged_notebook(planned, teacher))
        note = self._save(name, student, merged, key_of(planned, limits))
        found = report(f"{name}.ipynb", planned, outcome, teacher)
        return Row(student, replace(found, notes=found.notes + note))

    def _run(
        self, student: str, path: Path, teacher: dict, limits: Limits, store: Path
    ) -> tuple[Plan, Outcome]:
        try:
            submission, trouble = read_submission(path), ""
        except (ValueError, OSError) as error:
            submission = blank(teacher)
            trouble = f"UNREADABLE: {str(error).replace(str(self.root) + os.sep, '')}"
        planned = plan(submission, teacher)
        if trouble:
            planned = Plan(planned.cells, {}, planned.missing, (trouble,))
        key = key_of(planned, limits)
        outcome = load_outcome(store, key)
        if outcome is None:
            nothing = {cell["id"]: "there was nothing to run." for cell in planned.cells}
            if trouble:
                outcome = Outcome(nothing, {}, "none: there was nothing to run")
            else:
                outcome = run_plan(planned, teacher, limits)
            save_outcome(store, key, outcome)
        return planned, outcome

    def _save(self, name: str, student: str, merged: str, key: str) -> tuple[str, ...]:
        """Has nbgrader write one student's points, unless it has done so for this very answer."""
        key += " " + hashlib.sha256(merged.encode(errors="replace")).hexdigest()
        mark = self.root / ".graded" / name / "saved" / f"{student}.txt"
        graded = self.root / "autograded" / student / name / f"{name}.ipynb"
        stamp, note = read_stamp(self.submissions(name)[student].with_name("timestamp.txt"))
        if mark.is_file() and mark.read_text() == key and graded.is_file():
            return note
        staged = self.root / ".graded" / "staged"
        target = staged / student / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        write_whole(target / f"{name}.ipynb", merged)
        if stamp:
            write_whole(target / "timestamp.txt", stamp)
        self._call(
            lambda api: api.autograde(name, student), f"grade {student}", submitted=str(staged)
        )
        write_whole(mark, key)
        return note

    def feedback(self, name: str) -> list[Path]:
        """Writes a page for each graded student, without hidden tests: ``feedback/...html``."""
        self._call(lambda api: api.generate_feedback(name), "write the feedback")
        return sorted((self.root / "feedback").glob(f"*/{name}/*.html"))

    def limits(self) -> Limits:
        """The limits that stand in nbgrader_config.py."""
        section = self._config().get("RunInBox", {})
        return Limits(**{k: section.get(k, v) for k, v in asdict(Limits()).items()})

    def _config(self) -> Any:
        from traitlets.config import PyFileConfigLoader

        return PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()

    def api(self, submitted: str = "") -> Any:
        """nbgrader's API on this course."""
        try:
            from nbgrader.apps import NbGraderAPI
        except ModuleNotFoundError:
            raise ValueError('This needs nbgrader: pip install "wmlearn[teach]".') from None
        config = self._config()
        config.CourseDirectory.root = str(self.root)
        if submitted:
            config.CourseDirectory.submitted_directory = os.path.relpath(submitted, self.root)
        return NbGraderAPI(config=config)

    def _call(self, ask: Any, what: str, submitted: str = "") -> None:
        find_scripts()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy's about nbgrader's own queries
            result = ask(self.api(submitted))
        if not result["success"]:
            log = (result.get("log") or "") + (result.get("error") or "")
            raise RuntimeError(f"nbgrader could not {what}:\n{log[-2000:]}")


def _not_graded(name: str, student: str, teacher: dict, error: Exception) -> Row:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    note = f"NOT GRADED: {lines[0][:300]}"
    planned, nothing = plan(blank(teacher), teacher), Outcome({}, {}, "none: it did not run")
    return Row(student, replace(report(name, planned, nothing, teacher), notes=(note,)))


def _line(row: Row) -> str:
    found = row.report
    look = f"; look at it: {found.notes[0]}" if found.notes else ""
    more = f" (and {len(found.notes) - 1} more)" if len(found.notes) > 1 else ""
    return f"{row.student}: {found.points:g} of {found.maximum:g} points{look}{more}"


@contextmanager
def _claim(folder: Path):
    """One batch at a time: two would write into one gradebook."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ModuleNotFoundError:  # Windows
            pass
        except OSError:
            raise ValueError("Another `wmlearn teach grade` is at work on this course.") from None
        yield


def find_exercise(what: str | Path, root: Path | None = None) -> Path:
    """The teacher's notebook of a chapter: a path, or a number or name in ``notebooks/exercises``.

    Args:
        what: ``04``, ``04_diamond`` or a path ending in .ipynb.
        root: where the repository is; by default it is looked for from here upward and beside
            the installed library.
    """
    path = Path(what)
    if path.suffix == ".ipynb":
        if not path.is_file():
            raise ValueError(f"There is no notebook {path}.")
        return path
    here = Path.cwd()
    roots = [root] if root else [here, *here.parents, Path(__file__).resolve().parents[2]]
    folder = next((r / EXERCISES for r in roots if r and (r / EXERCISES).is_dir()), None)
    if folder is None:
        raise ValueError(
            f"No folder {EXERCISES} here or above: run this in a clone of the course, "
            "or give the path of the teacher's notebook."
        )
    found = sorted(folder.glob(f"{what}*.ipynb"))
    if len(found) != 1:
        have = ", ".join(path.stem for path in sorted(folder.glob("*.ipynb")))
        raise ValueError(f"No single exercise is called {what!r}; {folder} has: {have}.")
    return found[0]
