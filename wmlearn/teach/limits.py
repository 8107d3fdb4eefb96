"""Running code that one did not write, within limits of time and memory.

The code runs in a process of its own, in an empty folder. What comes back is JSON over a pipe;
nothing is unpickled. This stops endless loops, memory hogs, and accidents. It is no defence
against an attacker: grade strangers' work inside a container as well.
"""

from __future__ import annotations

import json
import math
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORKER = Path(__file__).with_name("_worker.py")
_START_SECONDS = 120  # for the interpreter and its imports, before any limit counts


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
    if callable(what):
        module = getattr(what, "__module__", None)
        if module in (None, "__main__") or "<" in what.__qualname__:
            raise ValueError(
                "run_limited needs a function that can be imported from a module; "
                "for code in a notebook give the notebook's path."
            )
        job = {"call": [module, what.__qualname__], "args": args}
    else:
        cells = json.loads(Path(what).read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        job = {"cells": [{"id": f"cell {i + 1}", "source": text} for i, text in enumerate(code)]}
    value: Any = None if "call" in job else {}
    error, limits, start = "", "", time.monotonic()
    for event in events(job, seconds, megabytes):
        if event["event"] == "ready":
            limits, start = event["limits"], time.monotonic()
        elif event["event"] == "cell" and event["error"]:
            value[event["id"]] = event["error"]
            error = error or f"{event['id']}: {event['error']}"
        elif event["event"] == "returned":
            value, error = event["value"], event["error"]
        elif event["event"] == "killed":
            error = event["why"]
    return Run(not error, value, error, time.monotonic() - start, limits)


def events(job: dict, seconds: float, megabytes: int) -> Iterator[dict]:
    """Runs a job in a limited process and hands on what it reports, as it comes.

    Events: ``ready`` (limits), ``start`` (id) and ``cell`` (id, error) for each cell,
    ``returned`` (value, error), and ``killed`` (why) when the process had to be ended, or ended
    by itself before its time.
    """
    token = secrets.token_hex()
    request = {
        "token": token,
        "path": [entry for entry in sys.path if entry] + [os.getcwd()],
        "megabytes": megabytes,
        "cpu_seconds": math.ceil(seconds * max(1, len(job.get("cells", ())))) + 1,
        **job,
    }
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_environment(folder),
            start_new_session=os.name == "posix",
        )
        try:
            process.stdin.write(json.dumps(request).encode())
            process.stdin.close()
            yield from _listen(process, token, seconds)
        finally:
            _kill(process)


def _listen(process: subprocess.Popen, token: str, seconds: float) -> Iterator[dict]:
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            yield {"event": "killed", "why": f"it was stopped after {seconds:g} s."}
            return
        if not line:
            yield {"event": "killed", "why": "the process ended before its code did."}
            return
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict) or event.pop("token", None) != token:
            continue  # not from the worker itself
        deadline = time.monotonic() + seconds
        yield event
        if event["event"] in ("returned", "end"):
            return


def _environment(folder: str) -> dict[str, str]:
    """Only what Python needs to start: no tokens or keys of the grader's own session."""
    keep = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    return {**kept, **threads, "HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}


def _kill(process: subprocess.Popen) -> None:
    """Ends the process and, where there are process groups, everything it started."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    else:
        process.kill()
    process.wait()
    process.stdout.close()
