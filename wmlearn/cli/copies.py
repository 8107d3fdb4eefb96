"""The reader's copies of the notebooks: to run and save one leaves the course as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from wmlearn.files import sha256, write_whole

FOLDER = "my-notebooks"
"""Beside ``notebooks``, so that links and pictures lead to the same places."""
_KNOWN = ".course.json"  # what each copy was made of: its path -> SHA-256 of the original
_NOT = {"src", "data", "runs", ".ipynb_checkpoints", "before"}


def copy_notebooks(course: Path, mine: Path, fresh: Sequence[str] | None = None) -> list[str]:
    """Brings ``mine`` up to date and says, a sentence each, what the reader should know.

    A notebook that is missing is copied. One that nobody changed follows the course when that has a
    newer one; one that the reader changed stays as it is.

    Args:
        course: the folder of the course's notebooks.
        mine: the reader's folder; it is made.
        fresh: names of notebooks (``00_start_here``) to start anew, or an empty list for all. The
            reader's own ones are moved to ``before/``, never deleted.

    Raises:
        ValueError: there is no notebook of a name in ``fresh``.
    """
    originals = {path.relative_to(course).as_posix(): path for path in _notebooks(course)}
    anew = _chosen(originals, fresh)
    known = _read(mine / _KNOWN)
    told = []
    for name, original in originals.items():
        copy, digest = mine / name, sha256(original)
        if copy.exists() and name in anew and sha256(copy) != digest:
            told.append(f"{name} starts anew; yours is kept in {_move_away(mine, name)}.")
        if copy.exists() and known.get(name) != digest:
            if sha256(copy) not in (known.get(name), digest):
                told.append(
                    f"{name} is newer in the course; you changed yours, so it stays. To start anew "
                    f"(yours is kept): wmlearn lab --fresh {Path(name).stem}"
                )
                continue
            copy.unlink()
        if not copy.exists():
            write_whole(copy, original.read_bytes())
        known[name] = digest
    write_whole(mine / _KNOWN, json.dumps(known, indent=1) + "\n")
    return told


def _notebooks(course: Path) -> Iterator[Path]:
    for path in sorted(course.rglob("*.ipynb")):
        if not _NOT & set(path.relative_to(course).parts):
            yield path


def _chosen(originals: dict[str, Path], fresh: Sequence[str] | None) -> set[str]:
    """The notebooks that start anew: all of a name, the chapter's and its exercises'."""
    if fresh is None:
        return set()
    wanted = [Path(word).stem for word in fresh]
    stems = {Path(name).stem for name in originals}
    for word in wanted:
        if word not in stems:
            raise ValueError(f"There is no notebook '{word}'; choose one of {_listed(stems)}.")
    return {name for name in originals if not wanted or Path(name).stem in wanted}


def _listed(stems: set[str]) -> str:
    return ", ".join(sorted(stems))


def _move_away(mine: Path, name: str) -> str:
    """Moves the reader's notebook into ``before/``; returns where it is, below ``mine``."""
    to = mine / "before" / time.strftime("%Y-%m-%d") / name
    number = 1
    while to.exists():
        number += 1
        to = to.with_name(f"{Path(name).stem}-{number}.ipynb")
    to.parent.mkdir(parents=True, exist_ok=True)
    (mine / name).rename(to)
    return to.relative_to(mine).as_posix()


def _read(path: Path) -> dict[str, str]:
    """What is known of the copies; nothing where the file is missing or damaged."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
