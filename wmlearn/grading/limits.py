"""Running code that one did not write, within limits of time, memory, processes and output.

The code runs in a process of its own, in an empty folder, inside ``sandbox.py``'s box where
bubblewrap is installed. What comes back is JSON over a pipe; nothing is unpickled.
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

from wmlearn.grading.sandbox import SCRATCH, Sandbox, find_sandbox, memory_of, privileges, tree

_WORKER = Path(__file__).with_name("_worker.py")
_START_SECONDS = 120  # for the interpreter and its imports, before any limit counts
_MOST_PROCESSES = 256  # where the system itself does not stop a fork bomb
_LINE_BYTES = 2**20


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

    Each cell is sent only when its turn has come, with a password of its own for the answer: no
    cell can see those that follow, or speak for them.

    Events: ``ready`` (limits), ``start`` (id) and ``cell`` (id, error, output, ...) for each cell,
    ``returned`` (value, error), ``end``, and ``killed`` (why) when the process had to be ended,
    or ended by itself before its time.
    """
    sandbox = find_sandbox()
    cells = job.get("cells", ())
    request = {
        **{key: value for key, value in job.items() if key != "cells"},
        **privileges(sandbox.found),
        "path": [str(Path(entry).absolute()) for entry in sys.path if entry] + [os.getcwd()],
        "megabytes": megabytes,
        "boxed": sandbox.found,
        "cpu_seconds": math.ceil(seconds * max(1, len(cells))) + 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        talk = _Talk(sandbox, folder, seconds, megabytes)
        try:
            yield from talk.ask(request, _START_SECONDS, "ready")
            if "call" in job:
                if not talk.over:
                    yield from talk.ask({}, seconds, "returned")
                return
            for cell in cells:
                if talk.over:
                    return
                yield {"event": "start", "id": cell["id"]}
                yield from talk.ask(cell, seconds, "cell")
            if not talk.over:
                yield {"event": "end"}
        finally:
            talk.close()


class _Talk:
    """The worker process, and questions and answers over its pipes."""

    def __init__(self, sandbox: Sandbox, folder: str, seconds: float, megabytes: int) -> None:
        self.over = False
        self.sandbox, self.seconds, self.megabytes = sandbox, seconds, megabytes
        self.base = 0.0
        home = SCRATCH if sandbox.found else folder
        self.process = subprocess.Popen(
            [*sandbox.command, sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_environment(home),
            start_new_session=os.name == "posix",
        )
        self.lines: queue.Queue[bytes] = queue.Queue(maxsize=1000)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while line := self.process.stdout.readline(_LINE_BYTES):
                self.lines.put(line)
        except ValueError:  # closed
            return
        self.lines.put(b"")

    def ask(self, question: dict, seconds: float, answer: str) -> Iterator[dict]:
        """Sends a line and yields the answer to it, or ``killed`` and why."""
        token = secrets.token_hex()
        deadline = time.monotonic() + seconds
        writer = threading.Thread(target=self._send, args=({**question, "token": token},))
        writer.daemon = True  # a process that does not read must not hold us up
        writer.start()
        while True:
            problem = self._problem(deadline)
            if not problem:
                try:
                    line = self.lines.get(timeout=min(0.25, max(0, deadline - time.monotonic())))
                except queue.Empty:
                    continue
                if not line:
                    problem = "the process ended before its code did."
            if problem:
                self.over = True
                yield {"event": "killed", "why": problem}
                return
            event = _parse(line, token)
            if event is not None and event.get("event") == answer:
                if answer == "ready":
                    self.base = event.pop("base", 0.0)
                    event["limits"] += f", {self.sandbox.words}"
                yield event
                return

    def _send(self, content: dict) -> None:
        try:
            self.process.stdin.write(json.dumps(content).encode() + b"\n")
            self.process.stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended, which the reader notices

    def _problem(self, deadline: float) -> str:
        if time.monotonic() > deadline:
            return f"it was stopped after {self.seconds:g} s."
        if sys.platform != "linux" or not self.base:
            return ""
        pids = tree(self.process.pid)
        if len(pids) > _MOST_PROCESSES:
            return "it started too many processes."
        if len(pids) > 4 and memory_of(pids) > self.base + self.megabytes:
            return f"it and what it started need more than its {self.megabytes} MB of memory."
        return ""

    def close(self) -> None:
        """Ends the process and what it started; inside bubblewrap nothing can survive that."""
        if not self.over:
            try:  # nothing more to ask: it ends by itself, and its processor time is counted
                self.process.stdin.close()
                self.process.wait(1)
            except (OSError, RuntimeError, subprocess.TimeoutExpired):
                pass
        if os.name == "posix":
            pids = tree(self.process.pid) if sys.platform == "linux" else []
            for kill, pid in [(os.killpg, self.process.pid), *((os.kill, pid) for pid in pids)]:
                try:
                    kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        else:
            self.process.kill()
        self.process.wait()
        while True:  # the reader may wait for room
            try:
                self.lines.get_nowait()
            except queue.Empty:
                break
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except (OSError, RuntimeError):
                pass


def _parse(line: bytes, token: str) -> dict | None:
    """A report of the worker itself; whatever else was written into its pipe is ``None``."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.pop("token", None) != token:
        return None
    return event


def _environment(home: str) -> dict[str, str]:
    """Only what Python needs to start: no tokens or keys of the grader's own session."""
    keep = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    fixed = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    fixed |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "WMLEARN_TIER": "smoke"}
    return {**kept, **fixed, "HOME": home, "TMPDIR": home}
