"""What must hold before a batch begins, so that it does not end in the middle: nbgrader's parts."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import sys
import unicodedata
from pathlib import Path

_LONGEST = 60
_DEVICES = {"con", "prn", "aux", "nul", *(f"{x}{n}" for x in ("com", "lpt") for n in range(10))}


def check_gradebook(root: Path) -> None:
    """Tries the gradebook for two seconds.

    Raises:
        ValueError: if it is locked by another program or damaged; one sentence.
    """
    path = root / "gradebook.db"
    if not path.exists():
        return
    try:
        book = sqlite3.connect(path, timeout=2, isolation_level=None)
        try:
            book.execute("begin immediate")
            [[word]] = book.execute("pragma quick_check(1)").fetchall()
            book.execute("rollback")
        finally:
            book.close()
    except sqlite3.OperationalError as error:
        raise ValueError(
            f"{path} cannot be written ({error}): close Formgrader and other programs that use "
            "it, then run this again."
        ) from None
    except (sqlite3.DatabaseError, ValueError):
        word = "damaged"
    if word != "ok":
        raise ValueError(
            f"{path} is damaged: put back a copy, or move it away and run `release` and `grade` "
            "again (points that a person gave are in it alone)."
        )


def find_scripts() -> None:
    """Puts ``alembic``, which nbgrader calls, on the path of programs.

    Raises:
        ValueError: if it is not installed.
    """
    scripts = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if scripts not in path.split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + path
    if not shutil.which("alembic"):
        raise ValueError(
            "nbgrader needs the program alembic, which is not installed beside Python: "
            'pip install "wmlearn[teach]".'
        )


def read_stamp(path: Path) -> tuple[str, tuple[str, ...]]:
    """The time in a ``timestamp.txt``, empty if there is none to read, and then a note."""
    from nbgrader.utils import parse_utc

    if not path.is_symlink() and not path.exists():
        return "", ()
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 1000:
            raise ValueError
        text = path.read_text(encoding="utf-8").strip()
        parse_utc(text)
    except Exception:  # whatever the reader of dates makes of it
        return "", ("timestamp.txt is unreadable: the time of submission is not known",)
    return text, ()


def safe_id(text: str) -> str:
    """A student's id as the name of a folder, on every system and for nbgrader.

    Letters, digits, and ``-_.@`` only, at most 60 characters. Different texts have different ids:
    where something had to be changed, a part of the text's hash stands at the end.
    """
    text = unicodedata.normalize("NFC", text)
    made = re.sub(r"[^\w.@-]+", "-", text).strip("-.")[:_LONGEST]
    if made and made == text and made.casefold().split(".")[0] not in _DEVICES:
        return made
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{made[: _LONGEST - 7] or 'student'}-{digest}"
