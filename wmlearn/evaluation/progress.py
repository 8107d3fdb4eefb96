"""How far an evaluation is: a line now and then, on a terminal and in a file alike."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY = 5.0  # seconds between two lines


class Progress:
    """Says how much of a part is done, at most every ``EVERY`` seconds.

    Args:
        say: called with a line of text.
        total: calls of ``tick`` that the part takes.
    """

    def __init__(self, say: Callable[[str], None], total: int) -> None:
        self._say, self._total, self._done = say, total, 0
        self._begun = self._told = time.monotonic()

    def tick(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._told >= EVERY and self._done < self._total:
            self._told = now
            left = (now - self._begun) / self._done * (self._total - self._done)
            self._say(f"  {self._done / self._total:.0%}, about {left:.0f} s left")


def nothing() -> None:
    """The ``tick`` of nobody who looks."""
