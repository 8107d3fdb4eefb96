"""Where shipped files are, what a file's hash is, and how one is written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

WEIGHTS_ADDRESS = ""
"""Where checkpoints are published, each a folder below it; none yet. ``WMLEARN_WEIGHTS`` wins."""


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


def cache_dir() -> Path:
    """Where fetched files are kept: ``WMLEARN_CACHE``, or ``wmlearn`` in the user's cache."""
    chosen = os.environ.get("WMLEARN_CACHE")
    if chosen:
        return Path(chosen)
    user = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "wmlearn"


def weights_address() -> str:
    """The address below which checkpoints are published; empty if there is none."""
    return os.environ.get("WMLEARN_WEIGHTS", WEIGHTS_ADDRESS).rstrip("/")


def fetch(address: str, path: str | Path, digest: str | None = None, most: int = 2**27) -> bool:
    """Fetches ``address`` to ``path``; an existing file is replaced, whole or not at all.

    Args:
        address: http(s) address of a file.
        path: where to; its folder is made.
        digest: the SHA-256 that the file must have; ``None`` for a card, which brings the others'.
        most: bytes; a larger file is refused.

    Returns:
        False where the server says that there is no such file (404).

    Raises:
        ConnectionError: it cannot be reached, or what came is not what it should be.
    """
    path = Path(path)
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            data = answer.read(most + 1)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise ConnectionError(f"{address} answers {error.code}; try again later.") from error
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"{address} cannot be reached ({error}); check the connection and WMLEARN_WEIGHTS."
        ) from error
    if len(data) > most or (digest and hashlib.sha256(data).hexdigest() != digest):
        raise ConnectionError(
            f"{address} is not the file that its card describes; nothing of it was kept."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda partial: partial.write_bytes(data))
    return True
