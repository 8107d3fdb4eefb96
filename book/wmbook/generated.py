"""Pages and parts of pages that are made from the library, its cards and its notebooks."""

from __future__ import annotations

import re

PARTS: dict = {}


def fill(text: str) -> str:
    """Puts each part where a page says ``<!-- made: NAME ARGUMENTS -->``."""
    return re.sub(r"<!-- made: (\S+)(.*?) -->", lambda m: PARTS[m[1]](*m[2].split()), text)


def pages() -> dict[str, str]:
    """Whole pages, by their file's name."""
    return {}
