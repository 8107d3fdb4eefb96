"""The student's process: started by ``talking.py`` as a script, asked over stdin, in a box.

It holds no check, no test and no password. It runs cells, and calls functions of theirs by name
with plain values; what comes back is plain too. Nothing that it says is believed to be more than
the student's answer.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import linecache
import os
import signal
import sys
import threading
import time
import types

PRINTED = 10_000  # characters kept of what a cell prints
_TEXT = 2000


def _become(user: int | None) -> None:
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def _limit(megabytes: int, cpu_seconds: int, processes: int | None) -> str:
    """Sets the limits that this system has, and says in words which."""
    try:
        import resource
    except ImportError:
        return "wall-clock time only (Windows has no memory limit for a process)"
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return "wall-clock and processor time (this system enforces no memory limit)"
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    total = used + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (total, total))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**27, 2**27))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    words = f"wall-clock and processor time, {megabytes} MB of memory, files of 128 MB"
    if processes is None:
        return words
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    return f"{words}, number of processes"


class _Printed(io.TextIOBase):
    """Keeps the beginning of what is printed, and counts the rest."""

    def __init__(self) -> None:
        self.kept, self.room, self.lost = [], PRINTED, 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        text = str(text)
        self.kept.append(text[: self.room])
        self.lost += max(0, len(text) - self.room)
        self.room = max(0, self.room - len(text))
        return len(text)

    def text(self) -> str:
        cut = f"\n[{self.lost:,} more characters were cut]" if self.lost else ""
        return "".join(self.kept) + cut


class _FromTheJudge(Exception):
    """Base of what a function of the check's raised on the other side."""


class Pipe:
    """Frames to and from the judge; one conversation at a time."""

    def __init__(self) -> None:
        from wmlearn.grading import wire

        self._wire = wire
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        self._lock = threading.RLock()
        self._me = os.getpid()

    def send(self, op: str, **content: object) -> None:
        if os.getpid() != self._me:
            os._exit(0)  # a child that the student's code has forked
        frame = memoryview(self._wire.Writer().frame(op, **content))
        while frame:
            frame = frame[self._out.write(frame) :]

    def receive(self) -> dict:
        parts = self._wire.read_bytes(self._in)
        if parts is None:
            os._exit(0)  # at once, whatever threads and exit handlers there are
        return self._wire.read_frame(*parts, function=self.function)

    def ask(self, op: str, **content: object) -> dict:
        with self._lock:
            self.send(op, **content)
            answer = self.receive()
        if answer["op"] == "raised":
            raise self._error(answer)
        return answer

    def function(self, number: int) -> types.FunctionType:
        """The answer's side of a function of the check's, as ``crossing.arrive`` takes it."""
        far = _Far(self, number)

        def call(*arguments: object, **named: object) -> object:
            raise AssertionError("called through crossing.served only")

        call.far = far
        return call

    def _error(self, answer: dict) -> Exception:
        kind = getattr(builtins, answer["type"], None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            kind = type(answer["type"], (_FromTheJudge,), {})
        try:
            error = kind(answer["text"])
        except Exception:  # one that wants other arguments
            error = RuntimeError(answer["text"])
        error.number = answer["number"]
        return error


class _Far:
    """A function behind the pipe: see ``crossing.Function``."""

    def __init__(self, pipe: Pipe, number: int) -> None:
        self._pipe, self._number = pipe, number

    def forward(self, arguments: object, named: object, tensors: list) -> object:
        from wmlearn.teach.crossing import Called

        got = self._pipe.ask("callback", number=self._number, arguments=arguments, named=named,
                             tensors=tensors)  # fmt: skip
        return Called(got["template"], got["outputs"], got["tracked"], got["graph"])

    def backward(self, graph: int, gradients: list) -> list:
        return self._pipe.ask("backward", graph=graph, gradients=gradients)["gradients"]


class Student:
    """The notebook's names, and what has been called and built."""

    def __init__(self, pipe: Pipe, request: dict) -> None:
        self.pipe, self.request = pipe, request
        self.notebook = types.ModuleType("__main__")
        self.kept: dict[str, object] = {}

    def cell(self, id: str, source: str) -> dict:
        """Runs a cell."""
        printed = _Printed()
        sys.modules["__main__"] = self.notebook
        sys.stdout = sys.stderr = printed
        error = None
        try:
            _execute(source, f"<{id}>", self.notebook.__dict__)
        except BaseException as raised:  # also SystemExit: nothing may end the worker unreported
            error = self.describe(raised)["text"]
        finally:
            sys.stdout = sys.stderr = _Printed()
        return {"error": error or "", "output": printed.text()[: PRINTED + 100]}

    def names(self, key: str, names: list) -> dict:
        """Remembers what the names stand for now: ``key/name``."""
        kinds = {}
        for name in names:
            value = self.notebook.__dict__.get(name, self)
            kinds[name] = "function" if callable(value) else "data"
            if value is self:
                kinds[name] = "missing"
            else:
                self.kept[f"{key}/{name}"] = value
        return {"kinds": kinds}

    def get(self, name: str) -> dict:
        from wmlearn.teach.crossing import plain

        return {"value": plain(self.kept[name])}

    def call(self, name: str, arguments: tuple, pull: object) -> dict:
        from wmlearn.teach import crossing
        from wmlearn.teach.answers import find_method

        function = find_method(self.kept, name)
        given = tuple(crossing.arrive(x, self._far) for x in arguments)
        value = function(*given)
        if pull is not None:
            crossing.pull_back(value, pull)
        after = [None if callable(x) and not isinstance(x, tuple) else crossing.leave(now, x)
                 for now, x in zip(given, arguments, strict=True)]  # fmt: skip
        return {
            "value": crossing.plain(value),
            "arguments": after,
            "gradients": [crossing.gradient(x) for x in given],
            "names": list(crossing.names_of(function)),
        }

    def build(self, name: str, arguments: tuple) -> dict:
        from wmlearn.teach import crossing

        made = self.kept[name](*(crossing.arrive(x, self._far) for x in arguments))
        key = f"{name}#{len(self.kept)}"
        self.kept[key] = made
        return {"key": key}

    def imported(self, module: str, name: str, arguments: list) -> dict:
        """Calls a function of an installed module; its result has to be JSON."""
        target = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
        return {"value": json.dumps(target(*arguments))}

    @staticmethod
    def _far(function: object) -> _Far:
        return function.far

    def describe(self, error: BaseException) -> dict:
        """An error as plain data."""
        from wmlearn.teach.checks import CheckFailed, describe, is_unwritten

        megabytes = self.request["megabytes"]
        try:
            unwritten = is_unwritten(error)
            if isinstance(error, CheckFailed):
                text = str(error.hint)
            elif isinstance(error, MemoryError) or "can't allocate memory" in str(error):
                text = f"MemoryError: it needs more than its {megabytes} MB of memory"
            else:
                text = describe(error)
        except BaseException:  # an exception whose own text raises
            text, unwritten = f"{type(error).__name__} without a readable text", False
        return {"text": str(text)[:_TEXT], "unwritten": unwritten,
                "number": getattr(error, "number", None)}  # fmt: skip


def _execute(source: str, name: str, namespace: dict) -> None:
    # magic lines, which the notebook's kernel alone knows, do nothing
    lines = ["pass  # " + line if line.startswith(("%", "!")) else line
             for line in source.split("\n")]  # fmt: skip
    text = "\n".join(lines)
    linecache.cache[name] = (len(text), None, [line + "\n" for line in lines], name)
    exec(compile(text, name, "exec"), namespace)


def _no_checks_here() -> None:
    """``check`` does nothing here: the judge, elsewhere, is the one who checks."""
    import wmlearn.teach
    import wmlearn.teach.checks

    def check(number: str, *answers: object, **variant: object) -> None:
        print(f"{number}: checked by the judge, not here.")

    wmlearn.teach.check = wmlearn.teach.checks.check = check


def main() -> None:
    sys.path[:] = json.loads(sys.argv[1])
    pipe = Pipe()
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    me = os.getpid()
    request = pipe.receive()["request"]
    _become(request.get("user"))
    import torch

    _no_checks_here()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    limits = _limit(request["megabytes"], request["cpu_seconds"], request.get("processes"))
    student = Student(pipe, request)
    pipe.send("ready", limits=limits)
    does = {
        op: getattr(student, op) for op in ("cell", "names", "get", "call", "build", "imported")
    }
    while True:
        question = pipe.receive()
        op = question.pop("op")
        try:
            reply = does[op](**question)
        except BaseException as error:
            pipe.send("stopped", **student.describe(error))
            continue
        if op == "cell" and request.get("boxed") and os.getpid() == me:
            _end_all_others()
        pipe.send("done", **reply)


def _end_all_others() -> None:
    """Kills what a cell has started: in the box, all that runs beside this process is the answer's.

    Left alone, a bomb's processes would take the room that the next cell's threads need.
    """
    for _ in range(20):
        try:
            os.kill(-1, signal.SIGKILL)  # all others in here, but for the box's own first process
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except (ProcessLookupError, PermissionError, ChildProcessError):
            return  # there are none
        time.sleep(0.01)


if __name__ == "__main__":
    main()
