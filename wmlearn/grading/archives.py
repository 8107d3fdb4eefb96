"""The files of a download, a zip file or a folder; damage costs only the file that has it."""

from __future__ import annotations

import io
import stat
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from wmlearn.grading.reading import MOST_BYTES

_MOST_FILES = 50_000
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError,
           ValueError, OverflowError, MemoryError)  # fmt: skip


class File(NamedTuple):
    """One file of a download.

    Attributes:
        path: as the download has it.
        time: when it was last changed, in seconds since 1970; 0 if that is not told.
        read: its content; a ``ValueError`` says in words why there is none.
    """

    path: str
    time: float
    read: Callable[[], bytes]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(p for p in self.path.replace("\\", "/").split("/") if p not in ("", "."))

    @property
    def leaves(self) -> bool:
        """Whether the path points out of its folder."""
        path = self.path.replace("\\", "/")
        return path.startswith("/") or ".." in path.split("/") or path[1:3] == ":/"

    @property
    def is_litter(self) -> bool:
        """What operating systems and Jupyter leave beside the work."""
        names = self.parts
        return (
            any(part in ("__MACOSX", ".ipynb_checkpoints") for part in names[:-1])
            or names[-1].startswith("._")
            or names[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")
        )


def files(source: Path) -> list[File]:
    """All files of a folder, a zip file, or a notebook alone.

    Raises:
        ValueError: if it is none of these, or damaged as a whole; one sentence.
    """
    if source.is_dir():
        found = [path for path in sorted(source.rglob("*")) if path.is_symlink() or path.is_file()]
        return [_on_disk(path, path.relative_to(source).as_posix()) for path in found]
    if source.suffix == ".ipynb":
        return [_on_disk(source, source.name)]
    if not source.is_file():
        raise ValueError(f"{source} is no folder, notebook or zip file.")
    return zipped(source, str(source))


def zipped(source: Path | io.BytesIO, name: str) -> list[File]:
    """The files of a zip file, which stays open as long as one of them is held."""
    try:
        archive = zipfile.ZipFile(source)
        entries = [info for info in archive.infolist() if not info.is_dir()]
    except _DAMAGE:
        raise ValueError(f"{name} is no zip file, or a damaged one: download it again.") from None
    if len(entries) > _MOST_FILES:
        raise ValueError(f"{name} holds more than {_MOST_FILES:,} files: it was not opened.")
    return [
        File(info.filename or "?", _time(info), lambda info=info: _entry(archive, info))
        for info in entries
    ]


def _on_disk(path: Path, name: str) -> File:
    def read() -> bytes:
        try:
            if path.is_symlink():
                raise ValueError("it is a link: it was not opened.")
            with open(path, "rb") as file:
                return _limited(file)
        except OSError as error:
            raise ValueError(f"it cannot be read ({error.strerror}).") from None

    try:
        changed = path.lstat().st_mtime
    except OSError:
        changed = 0.0
    return File(name, changed, read)


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & 1:
        raise ValueError("it is encrypted: ask for it without a password.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError("it is a link: it was not opened.")
    if info.file_size > MOST_BYTES:
        raise ValueError("it is larger than 20 MB: ask for it again without its outputs.")
    try:
        with archive.open(info) as file:
            return _limited(file)
    except ValueError as error:
        if "larger than 20 MB" in str(error):
            raise
        raise ValueError("it is damaged: download or ask for it again.") from None
    except _DAMAGE:
        raise ValueError("it is damaged: download or ask for it again.") from None


def _limited(file: io.BufferedIOBase) -> bytes:
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("it is larger than 20 MB: ask for it again without its outputs.")
    return content


def _time(info: zipfile.ZipInfo) -> float:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return 0.0
