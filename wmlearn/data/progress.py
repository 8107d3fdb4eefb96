"""One progress bar for the whole package."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm


def progress_bar(total: int, done: int, title: str, show: bool, unit: str = "frame") -> tqdm:
    """A text bar, drawn twice a second; none in CI, or without a terminal or a notebook."""
    seen = sys.stderr.isatty() or "ipykernel" in sys.modules
    hidden = not show or not seen or "CI" in os.environ
    return tqdm(total=total, initial=done, desc=title, unit=unit, disable=hidden, mininterval=0.5)
