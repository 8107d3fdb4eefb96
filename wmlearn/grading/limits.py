"""Running a function or a notebook that one did not write, within limits of time and memory.

The code runs in a process of its own, in an empty folder, inside ``sandbox.py``'s box where
bubblewrap is installed. What comes back is JSON over a pipe; nothing is unpickled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """How a limited run ended.

    Attributes:
        ok: whether it came to its end without an error.
        value: what the function returned; for a notebook, the errors of its cells (cell -> text).
        error: empty, or one sentence.
        seconds: wall-clock time, without the start of the process.
        limits: what was limited on this system, in words.
    """

    ok: bool
    value: Any
    error: str
    seconds: float
    limits: str


def run_limited(
    what: Callable | str | Path, *args: Any, seconds: float = 30, megabytes: int = 2048
) -> Run:
    """Runs a function, or all code cells of a notebook, within limits.

    Args:
        what: a function that can be imported by its name (its arguments and its result are sent
            as JSON), or the path of a notebook.
        args: the function's arguments.
        seconds: wall-clock limit for the function, or for each cell.
        megabytes: memory beyond what Python and torch take (Linux; elsewhere see ``Run.limits``).
    """
    from wmlearn.grading.talking import Clock, Ended, Talk  # torch only where something runs

    if callable(what):
        module = getattr(what, "__module__", None)
        if module in (None, "__main__") or "<" in what.__qualname__:
            raise ValueError(
                "run_limited needs a function that can be imported from a module; "
                "for code in a notebook give the notebook's path."
            )
        call = {"module": module, "name": what.__qualname__, "arguments": list(args)}
        cells = []
    else:
        content = json.loads(Path(what).read_text(encoding="utf-8"))["cells"]
        cells = ["".join(cell["source"]) for cell in content if cell["cell_type"] == "code"]
    value: Any = None if callable(what) else {}
    error, start = "", time.monotonic()
    with Talk(Clock(seconds * max(1, len(cells)) + 1), seconds, megabytes) as talk:
        try:
            talk.begin()
            start = time.monotonic()
            if callable(what):
                talk.allow()
                got = talk.ask("imported", **call)
                error = "" if got["op"] == "done" else str(got.get("text"))
                value = None if error else json.loads(got["value"])
            for number, source in enumerate(cells, 1):
                talk.allow()
                name = f"cell {number}"
                if problem := talk.ask("cell", id=name, source=source).get("error"):
                    value[name] = problem
                    error = error or f"{name}: {problem}"
        except Ended as ended:
            error = str(ended)
        except (ValueError, TypeError, KeyError):
            value, error = None, "its result cannot be read."
    return Run(not error, value, error, time.monotonic() - start, talk.limits)
