"""Where shipped files are, what a file's hash is, and how one is written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

WEIGHTS_ADDRESS = ""
"""Where checkpoints are published, each a folder below it; none yet. ``WMLEARN_WEIGHTS`` wins."""


def assets_dir() -> Path:
    """The folder with ``checkpoints/``: ``WMLEARN_ASSETS``, or ``assets/`` of the repository."""
    chosen = os.environ.get("WMLEARN_ASSETS")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[1] / "assets"


def list_checkpoints() -> list[str]:
    """Names of the shipped checkpoints, for ``wmlearn.load``."""
    return sorted(p.parent.name for p in (assets_dir() / "checkpoints").glob("*/card.json"))


def list_clip_sets() -> list[str]:
    """Ids of the shipped sets of clips, for ``wmlearn.record``: ``clips/NAME``."""
    return sorted(f"clips/{p.parent.name}" for p in (assets_dir() / "clips").glob("*/dataset.json"))


def sha256(path: str | Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8, not JSON, nested too deeply, or holds no object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not an object")
    return content


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
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
    write_whole(path, data)
    return True


def _force_to_disk(path: Path, mode: int = os.O_RDWR) -> None:
    handle = os.open(path, mode)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
