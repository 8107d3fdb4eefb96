"""Judges for a batch: each is a process that takes one submission after the other."""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from wmlearn.grading.sandbox import START_SECONDS, find_sandbox, paths, tree

_SCRIPT = Path(__file__).with_name("_judge.py")
_GRACE = 60  # seconds beyond all limits of a job, after which the judge is ended
_idle: list[JudgeProcess] = []
_lock = threading.Lock()


class JudgeProcess:
    """One judge. It and what it started are gone after ``close``."""

    def __init__(self) -> None:
        self.boxed = find_sandbox().found
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if not self.boxed:  # what this process has found and said holds for the judge too
            environment["WMLEARN_SANDBOX"] = "off"
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), json.dumps(paths())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._next(time.monotonic() + 3 * START_SECONDS)

    def _read(self) -> None:
        for line in iter(self._process.stdout.readline, b""):
            self._lines.put(line)
        self._lines.put(b"")

    def _next(self, deadline: float) -> dict | None:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            line = b""
        return json.loads(line) if line else None

    def judge(self, job: dict) -> dict:
        """Judges one submission.

        Args:
            job: see ``judging.Judge``.

        Returns:
            ``errors`` and ``outputs`` by cell, ``limits`` in words, and ``whole``: whether the
            judge came to its end. If not, it has to be closed.

        Raises:
            RuntimeError: if the judging itself failed.
        """
        found: dict = {"errors": {}, "outputs": {}, "limits": "", "whole": False}
        deadline = time.monotonic() + 4 * job["total"] + START_SECONDS + _GRACE
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        while (event := self._next(deadline)) is not None:
            kind, cell, text = event["event"], event["cell"], event["text"]
            if kind == "end":
                found["whole"] = True
                break
            if kind == "failed":
                raise RuntimeError(text)
            if kind == "limits":
                found["limits"] = text
            else:
                found[f"{kind}s"][cell] = text
        return found

    def close(self) -> None:
        """Ends the judge and the student's process that it may have."""
        pids = tree(self._process.pid) if sys.platform == "linux" else [self._process.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGTERM if os.name != "posix" else signal.SIGKILL)
            except OSError:
                continue
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:
                continue


def judge(job: dict) -> dict:
    """Judges one submission with a judge that is free, or a new one."""
    with _lock:
        free = [one for one in _idle if one.boxed == find_sandbox().found]
        if free:
            _idle.remove(free[0])
    one = free[0] if free else JudgeProcess()
    whole = False
    try:
        found = one.judge(job)
        whole = found["whole"]
        return found
    finally:
        if whole:
            with _lock:
                _idle.append(one)
        else:
            one.close()


def close_idle() -> None:
    """Ends the judges that have nothing to do."""
    with _lock:
        judges, _idle[:] = list(_idle), []
    for one in judges:
        one.close()


atexit.register(close_idle)
