"""All pages of the book, laid out as Sphinx reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

from wmbook import generated
from wmbook.links import rewrite
from wmbook.notebooks import stage as stage_notebook
from wmbook.places import ROOT, chapters, exercises, place


def stage(pages: Path) -> None:
    """Fills the folder ``pages``; an unchanged page keeps its file, and Sphinx does not read it."""
    fresh = pages.with_name(pages.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for path in [*chapters(), *exercises()]:
        stage_notebook(path, _name(path), fresh)
    texts = [*sorted((ROOT / "book").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
    texts += [ROOT / "CHANGELOG.md", *sorted((ROOT / "assets").glob("*/README.md"))]
    for path in texts:
        source = _name(path)
        if (target := place(source)) is None or "static" in path.parts:
            continue
        text = generated.fill(path.read_text(encoding="utf-8"))
        _write(fresh / target, rewrite(text, source, target))
    for name, text in generated.pages().items():
        _write(fresh / name, text)
    (fresh / "figures").mkdir()
    for path in sorted((ROOT / "assets/figures").glob("*")):
        shutil.copy2(path, fresh / "figures" / path.name)
    shutil.copy2(ROOT / "book/references.bib", fresh / "references.bib")
    _replace(pages, fresh)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _replace(old: Path, new: Path) -> None:
    """Brings ``old`` to what ``new`` holds and removes ``new``; equal files stay untouched."""
    if old.is_dir():
        for path in sorted(old.rglob("*"), reverse=True):
            twin = new / path.relative_to(old)
            if path.is_file() and not twin.is_file():
                path.unlink()
    for path in new.rglob("*"):
        twin = old / path.relative_to(new)
        if path.is_file() and not (twin.is_file() and twin.read_bytes() == path.read_bytes()):
            twin.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, twin)
    shutil.rmtree(new)
