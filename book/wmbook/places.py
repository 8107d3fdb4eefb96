"""Where each file of the repository stands in the book."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]

PAGES = {  # files that are pages under another name
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "assets/checkpoints/README.md": "checkpoints.md",
    "assets/checkpoints": "checkpoints.md",
    "assets/clips/README.md": "clips.md",
    "notebooks/exercises/README.md": "exercises/index.md",
    "notebooks/exercises/release": "exercises/index.md",
    "notebooks/exercises": "exercises/index.md",
    "book/exercises.md": "exercises/index.md",
    "LICENSE": "licenses.md",
    "LICENSE-TEXT": "licenses.md",
}
_FOLDERS = {  # folders whose files keep their names
    "notebooks/exercises/release": "exercises",
    "notebooks/exercises": "exercises",
    "notebooks": "chapters",
    "assets/figures": "figures",
    "assets/films": "films",
    "book": "",
}


def place(path: str) -> str | None:
    """The page or file of the book that shows ``path`` of the repository; None if none does."""
    if path in PAGES:
        return PAGES[path]
    folder, _, name = path.rpartition("/")
    if folder.startswith("book/"):  # book/prerequisites/attention.md
        return path.removeprefix("book/") if name.endswith(".md") else None
    if folder not in _FOLDERS or not name.endswith((".md", ".ipynb", ".png", ".gif", ".mp4")):
        return None
    return (PurePosixPath(_FOLDERS[folder]) / name).as_posix()


def address() -> str:
    """The repository's web address, as pyproject.toml's ``[project.urls]`` says, or ""."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "").rstrip("/")


def colab(source: str) -> str:
    """Where Colab opens a notebook of the repository; "" as long as there is no address."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address())
    host = "https://colab.research.google.com/github"
    return f"{host}/{found[1]}/blob/main/{source}" if found else ""


def chapters() -> list[Path]:
    """The notebooks of the course in reading order."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def exercises() -> list[Path]:
    """The students' editions of the exercises in reading order."""
    return sorted((ROOT / "notebooks/exercises/release").glob("[0-9][0-9]_*.ipynb"))


def title_of(path: Path) -> str:
    """The first heading of a notebook."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            found = re.search(r"^# (.+)$", "".join(cell["source"]), flags=re.MULTILINE)
            if found:
                return found[1]
    raise ValueError(f"{path.name} has no heading that starts with one #.")
