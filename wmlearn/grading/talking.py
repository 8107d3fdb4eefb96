"""The judge's end of the pipe: a student's process, questions to it, and its limits.

The process runs in an empty folder, inside ``sandbox.py``'s box where there is one. One clock runs
for all processes of a submission, however often one has to be started again.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wmlearn.grading import wire
from wmlearn.grading.sandbox import (
    SCRATCH,
    START_SECONDS,
    files_in_box,
    find_sandbox,
    memory_of,
    paths,
    privileges,
    seconds_of,
    threads_of,
    tree,
    waited,
)

_WORKER = Path(__file__).with_name("_worker.py")
_MOST_PROCESSES = 256  # where the system itself does not stop a fork bomb
_MOST_LEFT = 8  # threads and processes that a test may leave running
_MOST_FILES = 50_000  # in the box's places
_PATIENCE = 3  # how many times its limit a busy machine may add to it
_LOOK = 0.2  # seconds between two looks at memory and processor time


class Ended(BaseException):
    """The student's process is at its end, or had to be brought to it; the text says why.

    No ``Exception``: nothing that catches a student's errors may catch it.
    """


class Crowded(Ended):
    """A test has left so much running that the next one needs a process of its own."""


class Clock:
    """What is left of a submission's time, over all its processes.

    Time in which a process could have run, and others had the processors, does not count, up to
    three times the total: a busy machine is not the student's fault.

    Args:
        total: seconds by the wall clock, and as many of processor time.
    """

    def __init__(self, total: float) -> None:
        self.total = total
        self.processor = 0.0  # of processes that have ended
        self.waited = 0.0
        self._begun: float | None = None

    def start(self) -> None:
        """Begins to count; a second call changes nothing."""
        if self._begun is None:
            self._begun = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds by the wall clock."""
        if self._begun is None:
            return self.total
        free = min(self.waited, _PATIENCE * self.total)
        return self.total + free - (time.monotonic() - self._begun)

    def late(self, processor: float = 0.0) -> str:
        """Why the submission has to stop, or nothing.

        Args:
            processor: seconds that its present processes have used.
        """
        if self.left <= 0:
            return f"the notebook had used up its {self.total:g} s."
        if self.processor + processor > self.total:
            return f"the notebook had used up its {self.total:g} s of processor time."
        return ""


class Talk:
    """A student's process. ``ask`` raises :class:`Ended` when there is no answer to be had."""

    def __init__(self, clock: Clock, seconds: float, megabytes: int) -> None:
        self.clock, self.seconds, self.megabytes = clock, seconds, megabytes
        self.limits = ""
        self._deadline, self._looked = math.inf, 0.0
        self._main, self._threads, self._waited, self._since = 0, 0, 0.0, 0.0
        self._base = 0.0
        self._own = 0.0  # processor time before the student's code began
        self._used = 0.0
        self._folder = tempfile.TemporaryDirectory()
        self._sandbox = find_sandbox()
        with self._sandbox.opened() as (command, inherited):
            self._process = subprocess.Popen(
                [*command, sys.executable, str(_WORKER), json.dumps(paths())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._folder.name,
                env=_environment(SCRATCH if self._sandbox.found else self._folder.name),
                start_new_session=os.name == "posix",
                pass_fds=inherited if os.name == "posix" else (),
            )
        self._frames: queue.Queue = queue.Queue(maxsize=4)
        self._out: queue.Queue = queue.Queue(maxsize=64)
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def begin(self) -> None:
        """Waits until the process is ready; from then on its limits hold."""
        left = START_SECONDS if self.clock.left == self.clock.total else self.clock.left
        self._deadline = time.monotonic() + max(left, 1)
        request = {
            **privileges(self._sandbox.found),
            "megabytes": self.megabytes,
            "boxed": self._sandbox.found,
            "cpu_seconds": math.ceil(self.clock.total - self.clock.processor) + 5,
        }
        self._send(wire.Writer().frame("begin", request=request))
        ready = self._answer({})
        self.limits = f"{ready.get('limits', '')}, {self._sandbox.words}"
        pids = self._pids()
        self._base, self._own = memory_of(pids), seconds_of(pids)
        self._main, self._threads = pids[-1] if pids else 0, threads_of(pids)
        self._waited = self._since = self._waits()
        self.clock.start()

    def allow(self, seconds: float | None = None) -> None:
        """Starts the limit of one cell or test."""
        self._deadline = time.monotonic() + (seconds or self.seconds)
        self._since = self._waits()

    def ask(
        self,
        op: str,
        serve: dict[str, Callable[[dict], bytes]] | None = None,
        function: Callable[[Callable], int] | None = None,
        types: bool = True,
        **content: Any,
    ) -> dict:
        """The answer to a question.

        Args:
            op: what is asked.
            serve: what to do with questions that come back before the answer.
            function: gives numbers to functions in the content.
            types: whether values that are not plain keep the name of their type.
            content: plain values.

        Returns:
            The answer's values: ``op`` is "done" or "stopped".

        Raises:
            Ended: if the process has ended, or is out of a limit, or talks nonsense.
        """
        self._send(wire.Writer(function).frame(op, **content))
        return self._answer(serve or {}, types)

    def _answer(self, serve: dict, types: bool = True) -> dict:
        while True:
            self._watch()
            try:
                parts = self._frames.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if parts is None:
                raise Ended(self.clock.late(self._used) or "the process ended before its code did.")
            try:
                frame = wire.read_frame(*parts, types=types)
            except wire.Garbled:
                raise Ended("the process gave an answer that cannot be read.") from None
            if frame["op"] not in serve:
                return frame
            self._send(serve[frame["op"]](frame))

    def _watch(self) -> None:
        now = time.monotonic()
        if now < self._looked + _LOOK:
            return
        self._looked = now
        waits = self._waits()
        self.clock.waited += waits - self._waited
        self._waited = waits
        if late := self.clock.late():
            raise Ended(late)
        free = min(waits - self._since, _PATIENCE * self.seconds)
        if now > self._deadline + free:
            raise Ended(f"it was stopped after {self.seconds:g} s.")
        if sys.platform != "linux" or not self._base:
            return
        pids = self._pids()
        if len(pids) > _MOST_PROCESSES:
            raise Ended("it started too many processes.")
        self._used = max(self._used, seconds_of(pids) - self._own)
        if late := self.clock.late(self._used):
            raise Ended(late)
        if memory_of(pids) > self._base + self.megabytes:
            raise Ended(f"it and what it started need more than its {self.megabytes} MB of memory.")
        if self._sandbox.found and files_in_box(pids) > _MOST_FILES:
            raise Ended("it made too many files.")

    def tidy(self) -> None:
        """After a test: what it has left running must not take the next one's room.

        Raises:
            Crowded: if it has left threads or processes.
        """
        if sys.platform == "linux" and threads_of(self._pids()) > self._threads + _MOST_LEFT:
            raise Crowded

    def _waits(self) -> float:
        """Seconds that the student's process and this one have waited for a processor."""
        return waited(self._main) + waited(os.getpid()) if self._main else 0.0

    def _pids(self) -> list[int]:
        return tree(self._process.pid) if sys.platform == "linux" else []

    def _send(self, frame: bytes) -> None:
        while True:
            try:
                self._out.put(frame, timeout=_LOOK)
                return
            except queue.Full:
                self._watch()

    def _read(self) -> None:
        parts: Any = True
        while parts is not None:
            try:
                parts = wire.read_bytes(self._process.stdout)
            except (OSError, ValueError):
                parts = None
            except wire.Garbled:
                parts = (b"", b"")
            self._frames.put(parts)
            if parts == (b"", b""):
                return

    def _write(self) -> None:
        while (frame := self._out.get()) is not None:
            try:
                self._process.stdin.write(frame)
                self._process.stdin.flush()
            except (OSError, ValueError):
                return  # it has ended, which the reader notices

    def close(self) -> None:
        """Ends the process and what it started; inside bubblewrap nothing can survive that."""
        pids = self._pids()
        self._used = max(self._used, seconds_of(pids) - self._own) if pids else self._used
        self.clock.processor += self._used
        if os.name == "posix":
            for kill, pid in [(os.killpg, self._process.pid), *((os.kill, pid) for pid in pids)]:
                try:
                    kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        else:
            self._process.kill()
        self._process.wait()
        for line, item in ((self._out, None), (self._frames, b"")):
            while True:  # a thread may wait for room, or for a frame
                try:
                    line.get_nowait()
                except queue.Empty:
                    break
            if line is self._out:
                line.put(item)
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except (OSError, RuntimeError, ValueError):
                pass
        try:
            self._folder.cleanup()
        except OSError:
            pass

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _environment(home: str) -> dict[str, str]:
    """Only what Python needs to start: no tokens or keys of the grader's own session."""
    keep = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    fixed = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    fixed |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "WMLEARN_TIER": "smoke"}
    return {**kept, **fixed, "HOME": home, "TMPDIR": home}
