"""From what Canvas, Moodle or a folder gives to nbgrader's ``submitted/STUDENT/NAME/NAME.ipynb``.

Only notebooks are taken, by name; nothing is unpacked elsewhere, whatever paths a zip file claims.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from wmlearn.grading.course import Course
from wmlearn.grading.reading import MOST_BYTES

_CANVAS = re.compile(r"(?P<student>[^_/]+)_(?:LATE_)?\d+_\d+_.*\.ipynb$")
_MOODLE = re.compile(r"(?P<student>.+)_\d+_assignsubmission_file_?$")


def collect(course: Course, name: str, sources: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Copies submissions into the course; a later file of a student replaces an earlier one.

    Understood are Canvas ("lovelaceada_123_456_04_diamond.ipynb"), Moodle
    ("Ada Lovelace_123_assignsubmission_file/04_diamond.ipynb"), a folder for each student
    ("ada/04_diamond.ipynb"), and one file for each ("ada.ipynb").

    Returns:
        The students, and what was left out and why.
    """
    taken, left = {}, []
    for source in sources:
        for place, read in _files(Path(source)):
            if not place.endswith(".ipynb") or ".ipynb_checkpoints" in place:
                continue
            student = _student(PurePosixPath(place), name)
            if not student:
                left.append(f"{place}: whose is it? Name it STUDENT.ipynb or STUDENT/{name}.ipynb.")
                continue
            content = read()
            if content is None:
                left.append(f"{place}: larger than 20 MB, or a link.")
                continue
            target = course.root / "submitted" / student / name / f"{name}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            taken[student] = place
    return sorted(taken), left


def _files(source: Path) -> Iterator[tuple[str, object]]:
    if source.is_dir():
        for path in sorted(source.rglob("*.ipynb")):
            yield path.relative_to(source).as_posix(), lambda path=path: _content(path)
        return
    if source.suffix == ".ipynb":
        yield source.name, lambda: _content(source)
        return
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile):
        raise ValueError(f"{source} is no folder, notebook or zip file.") from None
    with archive:
        for info in archive.infolist():
            yield info.filename, lambda info=info: _unpacked(archive, info)


def _content(path: Path) -> bytes | None:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return None
    return path.read_bytes()


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | None:
    if info.file_size > MOST_BYTES:
        return None
    with archive.open(info) as file:
        content = file.read(MOST_BYTES + 1)
    return content if len(content) <= MOST_BYTES else None


def _student(place: PurePosixPath, name: str) -> str:
    """The student's id: letters, digits, and ``-_.@`` only, so that it is a safe folder name."""
    found = _CANVAS.match(place.name)
    folders = [part for part in place.parts[:-1] if part not in ("/", "..", ".", name)]
    if found:
        text = found["student"]
    elif folders:
        moodle = _MOODLE.match(folders[-1])
        text = moodle["student"] if moodle else folders[-1]
    else:
        text = "" if place.stem.startswith(name) else place.stem
    return re.sub(r"[^\w.@-]+", "-", text).strip("-.")
