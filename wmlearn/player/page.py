"""A widget's script and style sheet, each behind the part that all widgets of the course share."""

from __future__ import annotations

from pathlib import Path

_JS = Path(__file__).parent / "js"


def script(*paths: str | Path) -> str:
    """``_esm`` of a widget: ``js/page.js`` (``make``, ``makeScreen``, ...) and then its own."""
    return _joined(_JS / "page.js", *paths)


def styles(path: str | Path) -> str:
    """``_css`` of a widget: ``js/page.css`` (``.wm-page``: colors, buttons) and then its own.

    A style sheet applies to the whole notebook: a widget's own classes begin with its own name.
    """
    return _joined(_JS / "page.css", path)


def _joined(*paths: str | Path) -> str:
    return "\n".join(Path(path).read_text("utf-8") for path in paths)
