"""From a download to nbgrader's ``submitted/STUDENT/NAME/NAME.ipynb``, and nobody is lost.

Every file of every download is accounted for: taken, older, another notebook of the same student,
no notebook, left aside as litter, or refused for a reason. What is not taken, but is somebody's
notebook, is kept in ``collected/``. Nothing is unpacked under a path that an archive claims.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from wmlearn.files import write_whole
from wmlearn.grading.archives import File, files, zipped
from wmlearn.grading.course import Course
from wmlearn.grading.gradebook import safe_id
from wmlearn.grading.reading import parse_submission
from wmlearn.grading.schemes import Owner, identify
from wmlearn.grading.tables import table_text

TAKEN, OLDER, OTHER = "taken", "older", "another notebook"
NOT_ONE, LITTER, REFUSED = "no notebook", "left aside", "refused"


class Line(NamedTuple):
    """What became of one file."""

    download: str
    file: str
    student: str
    name: str
    what: str
    why: str


class Collected(NamedTuple):
    """The account of a collection.

    Attributes:
        lines: one for each file of each download, and for each student whom it names.
        lost: in words, whose work or which file was not taken; empty if nobody lost anything.
    """

    lines: tuple[Line, ...]
    lost: tuple[str, ...]

    @property
    def students(self) -> list[str]:
        """Those of whom a notebook was taken, sorted."""
        return sorted({line.student for line in self.lines if line.what == TAKEN})

    @property
    def counts(self) -> dict[str, int]:
        """How many files had which fate; they add up to the files of the downloads."""
        return dict(Counter(line.what for line in self.lines))


class _Candidate(NamedTuple):
    line: int
    owner: Owner
    scheme: str
    file: str
    time: float
    content: bytes
    rank: int  # 2: the assignment's notebook; 1: not readable; 0: some other notebook


def collect(course: Course, name: str, sources: Iterable[Path]) -> Collected:
    """Copies submissions into the course.

    Whose a file is, is the LMS's word (see ``schemes``). Of two notebooks of a student, in one
    download or in two, the newer by the LMS's time counts. The account goes to
    ``NAME-collected.csv``.

    Args:
        course: where to.
        name: the assignment.
        sources: zip files, folders and notebooks.
    """
    known = {cell["metadata"]["nbgrader"].get("grade_id") for cell in course.teacher(name)["cells"]}
    lines: list[Line] = []
    candidates: dict[tuple[str, str], list[_Candidate]] = defaultdict(list)
    seen: dict[tuple[str, str], str] = {}
    for source in map(Path, sources):
        _sort(source, name, known - {None}, lines, candidates, seen)
    ids = _ids(course, seen)
    state = _State(course, name)
    for who, mine in candidates.items():
        _take(course, name, ids[who], mine, lines, state)
    state.save()
    lines = [line._replace(student=ids.get(tuple(line.student), "")) for line in lines]
    write_whole(
        course.root / f"{name}-collected.csv",
        table_text([("download", "file", "student", "name", "what", "why"), *lines]),
    )
    return Collected(tuple(lines), _lost(lines, {ids[who]: n for who, n in seen.items()}))


def _sort(source: Path, name: str, known: set, lines: list, candidates: dict, seen: dict) -> None:
    """Finds the owner of each file of one download, and reads the notebooks."""
    nobody = ("", "")

    def note(file: str, what: str, why: str = "", who: tuple = nobody, of: str = "") -> int:
        lines.append(Line(source.name, file, who, of, what, why))  # the student: once all are known
        return len(lines) - 1

    try:
        found = files(source)
    except ValueError as error:
        note(source.name, REFUSED, str(error))
        return
    good: dict[tuple, list[File]] = defaultdict(list)
    for file in found:
        if file.leaves or not file.parts:
            note(file.path, REFUSED, "its path leads out of the archive.")
        elif file.is_litter:
            note(file.path, LITTER, "of an operating system or of Jupyter's own copies")
        else:
            good[file.parts].append(file)
    try:
        whose = identify(list(good), lambda place: good[place][0].read(), name)
    except ValueError as error:
        for file in (f for same in good.values() for f in same):
            note(file.path, REFUSED, str(error))
        return
    for place, file in ((p, f) for p, same in good.items() for f in same):
        if place in whose.apart:
            note(file.path, LITTER, f"of {whose.scheme}'s own")
            continue
        if place in whose.refused:
            note(file.path, REFUSED, whose.refused[place])
            continue
        for owner in whose.owners[place]:
            who = (whose.scheme, owner.key)
            seen.setdefault(who, owner.name)
            for inner in _opened(file):
                if isinstance(inner, str):
                    note(file.path, REFUSED, inner, who, owner.name)
                elif inner.parts[-1].lower().endswith(".ipynb"):
                    try:
                        content = inner.read()
                    except ValueError as error:
                        note(inner.path, REFUSED, str(error), who, owner.name)
                        continue
                    line = note(inner.path, OTHER, "", who, owner.name)
                    time = owner.time if owner.time is not None else inner.time
                    candidates[who].append(
                        _Candidate(line, owner, whose.scheme, inner.path, time, content,
                                   _rank(content, known))
                    )  # fmt: skip
                else:
                    note(inner.path, NOT_ONE, "", who, owner.name)


def _opened(file: File) -> list[File | str]:
    """The file, or the files of a zip that a student handed in; one level deep."""
    if not file.parts[-1].lower().endswith(".zip"):
        return [file]
    try:
        inside = zipped(io.BytesIO(file.read()), "it")
    except ValueError as error:
        return [str(error)]
    inside = [f for f in inside if f.parts and not f.is_litter]
    return [f._replace(path=f"{file.path}: {f.path}") for f in inside] or ["it is an empty zip."]


def _rank(content: bytes, known: set) -> int:
    try:
        cells = parse_submission(content, "")["cells"]
    except ValueError:
        return 1
    ids = {str(cell["metadata"]["nbgrader"].get("grade_id")) for cell in cells}
    return 2 if ids & known else 0


def _ids(course: Course, seen: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """An id for each student; no two alike, also where a file system ignores case."""
    ids: dict[tuple[str, str], str] = {}
    used = {p.name.casefold(): p.name for p in (course.root / "submitted").glob("*")}
    for who in sorted(seen):
        made = safe_id(who[1])
        if used.setdefault(made.casefold(), made) != made:
            made = safe_id(who[1] + " ")
            used[made.casefold()] = made
        ids[who] = made
    return ids


class _State:
    """What earlier collections took: ``collected/NAME.json``."""

    def __init__(self, course: Course, name: str) -> None:
        self.path = course.root / "collected" / f"{name}.json"
        try:
            self.taken = dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self.taken = {}

    def save(self) -> None:
        write_whole(self.path, json.dumps(self.taken, indent=1, sort_keys=True))

    def newer(self, student: str, candidate: _Candidate) -> bool:
        """Whether a later submission of the same student is in the course already."""
        before = self.taken.get(student)
        return bool(before) and before[0] == candidate.scheme and before[1] > candidate.time


def _take(
    course: Course, name: str, student: str, mine: list[_Candidate], lines: list, state: _State
) -> None:
    """The best of a student's notebooks goes to ``submitted``, the others to ``collected``."""
    order = sorted(mine, key=lambda c: (c.rank, c.time, c.line))
    best = order[-1]
    for one in order[:-1]:
        what, why = (OLDER, "") if one.rank == best.rank else (OTHER, "without this exercise")
        if one.rank == 1 and one.time > best.time:
            what, why = REFUSED, "it is not readable; an older one of the student was taken."
        if one.content == best.content:
            what, why = OLDER, "the same as what was taken"
        lines[one.line] = lines[one.line]._replace(what=what, why=why)
        _keep(course, name, student, one.content, one.file)
    target = course.root / "submitted" / student / name / f"{name}.ipynb"
    if state.newer(student, best) and target.is_file():
        lines[best.line] = lines[best.line]._replace(
            what=OLDER, why="a newer one was collected before"
        )
        _keep(course, name, student, best.content, best.file)
        return
    if target.is_file() and (old := target.read_bytes()) != best.content:
        _keep(course, name, student, old, "replaced.ipynb")
    write_whole(target, best.content)
    state.taken[student] = [best.scheme, best.time]
    lines[best.line] = lines[best.line]._replace(what=TAKEN)


def _keep(course: Course, name: str, student: str, content: bytes, file: str) -> None:
    folder = course.root / "collected" / name / student
    digest = hashlib.sha256(content).hexdigest()[:8]
    write_whole(folder / f"{digest}-{safe_id(Path(file).stem)}.ipynb", content)


def _lost(lines: list[Line], people: dict[str, str]) -> tuple[str, ...]:
    have = {line.student for line in lines if line.what in (TAKEN, OLDER)}
    words = [f"{line.file}: {line.why}" for line in lines if line.what == REFUSED]
    words += [
        f"{student} ({name}): no notebook was found"
        for student, name in sorted(people.items())
        if student not in have
        and not any(line.what == REFUSED and line.student == student for line in lines)
    ]
    return tuple(words)
