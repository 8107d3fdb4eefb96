"""Where shipped files are, what a file's hash is, and how one is written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path


def assets_dir() -> Path:
    """The folder with ``checkpoints/``: ``WMLEARN_ASSETS``, or ``assets/`` of the repository."""
    chosen = os.environ.get("WMLEARN_ASSETS")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[1] / "assets"


def sha256(path: str | Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: str | Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """Writes a file so that a kill, or a loss of power, leaves the old one or the new one.

    The content goes to a temporary file beside it, is forced to the disk, and then takes the name.

    Args:
        path: the file to appear or to be replaced; its folder is made if needed.
        content: bytes; text, written as UTF-8 (half a surrogate pair, which UTF-8 has no bytes
            for, as its escape); or what is given the temporary file's path and writes it.

    Returns:
        ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if callable(content):
            content(temporary)
        else:
            text = isinstance(content, str)
            temporary.write_bytes(content.encode("utf-8", "backslashreplace") if text else content)
        _force_to_disk(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # Windows opens no folder
        _force_to_disk(path.parent, os.O_RDONLY)
    return path


def _force_to_disk(path: Path, mode: int = os.O_RDWR) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
