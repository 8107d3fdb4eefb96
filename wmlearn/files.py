"""Where shipped files are, what a file's hash is, and how one is written whole or not at all."""

from __future__ import annotations

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
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Writes through a temporary file beside it, so that a kill leaves the old file or the new one.

    Args:
        path: the file to appear or to be replaced.
        write: is given the temporary file's path and writes it.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".partial")
    write(temporary)
    os.replace(temporary, path)
