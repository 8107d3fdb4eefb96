"""The limited process itself: started by ``limits.py`` as a script, asked over stdin.

It answers in JSON lines on its original stdout. What the student's code prints is kept up to
10,000 characters a cell, and the rest is thrown away.
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
import time
import types
from collections.abc import Iterable

PRINTED = 10_000  # characters kept of what a cell prints


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
    words = f"wall-clock and processor time, {megabytes} MB of memory, files of 128 MB"
    if processes is None:
        return words
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    return f"{words}, number of processes"


def _anonymous_megabytes() -> float:
    try:
        with open("/proc/self/status") as file:
            [line] = [line for line in file if line.startswith("RssAnon")]
    except (OSError, ValueError):
        return 0.0
    return int(line.split()[1]) / 1024


def _describe(error: BaseException, megabytes: int) -> str:
    from wmlearn.teach.checks import CheckFailed, describe

    try:
        if isinstance(error, CheckFailed):
            return str(error.hint)
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return f"it needs more than its {megabytes} MB of memory."
        return describe(error)
    except BaseException:  # an exception whose own text raises
        return f"{type(error).__name__} without a readable text"


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


class Guard:
    """Remembers what the tests stand on, and puts it back before each test.

    That is: torch's and the library's functions, the built-in ones, and the names that the
    teacher's own cells defined. It stops overwritten checks and patched functions. It cannot stop
    code that digs through this process's memory.
    """

    _MODULES = ("builtins", "math", "torch", "torch.nn.functional", "torch.linalg", "torch.testing")

    def __init__(self, open_names: Iterable[str] = ()) -> None:
        self.open_names = frozenset(open_names)
        self.trusted: dict[str, object] = {}
        self._remember()

    def _remember(self) -> None:
        import torch

        names = [*self._MODULES, *(n for n in sys.modules if n.startswith("wmlearn"))]
        self.modules = {name: sys.modules[name] for name in names if name in sys.modules}
        self.places: list[tuple] = [(torch.Tensor, dict(vars(torch.Tensor)))]
        self.code, self.tables = [], []
        for name, module in self.modules.items():
            ours = name.startswith("wmlearn")
            content = {k: v for k, v in vars(module).items() if callable(v) or not ours}
            self.places.append((module, content))
            if name.startswith(("wmlearn.teach", "wmlearn.chapters")):
                self._look_into(module)

    def _look_into(self, module: types.ModuleType) -> None:
        for name, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType):
                self.code.append((value, value.__code__, value.__defaults__))
            elif isinstance(value, type) and value.__module__ == module.__name__:
                self.places.append((value, dict(vars(value))))
            elif isinstance(value, dict) and not name.startswith("__"):
                self.tables.append((value, dict(value)))

    def learn(self, before: dict, namespace: dict) -> None:
        """Takes the names that a teacher's cell has bound as the true ones."""
        for name, value in namespace.items():
            if name not in self.open_names and before.get(name, self) is not value:
                self.trusted[name] = value
        self._remember()  # an import may have completed torch

    def restore(self, namespace: dict) -> list[str]:
        """Puts everything back; returns what had been changed."""
        changed = []
        sys.settrace(None)
        sys.setprofile(None)
        for function, code, defaults in self.code:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                function.__code__, function.__defaults__ = code, defaults
                changed.append(function.__qualname__)
        for table, content in self.tables:
            if table != content:
                table.clear()
                table.update(content)
                changed.append("a table of the checks")
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module
                changed.append(name)
        for place, content in self.places:
            changed += [f"{place.__name__}.{name}" for name in _put_back(place, content)]
        for name, value in self.trusted.items():
            if namespace.get(name, self) is not value:
                namespace[name] = value
                changed.append(name)
        return changed


def _put_back(place: types.ModuleType | type, content: dict) -> list[str]:
    """The attributes of a module or class that had to be set again, or taken away."""
    now, nothing, changed = dict(vars(place)), object(), []
    for name, value in content.items():
        if now.get(name, nothing) is not value:
            setattr(place, name, value)
            changed.append(name)
    shadows = set() if place.__name__.startswith("torch") else set(now) - set(content)
    builtin = {name for name in vars(builtins) if not name.startswith("__")}
    for name in shadows if isinstance(place, type) else shadows & builtin:
        delattr(place, name)
        changed.append(name)
    return changed


def _plain(source: str) -> str:
    """The cell without IPython's magic lines, which the notebook's kernel alone knows."""
    lines = source.split("\n")
    lines = ["pass  # " + line if line.startswith(("%", "!")) else line for line in lines]
    return "\n".join(lines)


def _execute(source: str, name: str, namespace: dict, show_lines: bool = True) -> None:
    text = _plain(source)
    if show_lines:  # error messages quote the student's own lines, never a hidden test's
        kept = [line + "\n" for line in text.split("\n")]
        linecache.cache[name] = (len(text), None, kept, name)
    exec(compile(text, name, "exec"), namespace)


def _accepts_nothing(cell: dict, namespace: dict) -> bool:
    """Whether the test refuses an empty answer, as it must: else someone tampered with it."""
    if not cell.get("stubs"):
        return True
    for source in filter(None, (cell["source"], cell.get("hidden", ""))):
        copy = {k: v for k, v in namespace.items() if k not in cell["names"]}
        for stub in cell["stubs"]:
            try:
                _execute(stub, "<empty answer>", copy, show_lines=False)
            except BaseException:
                continue
        try:
            _execute(source, "<test of the test>", copy, show_lines=False)
        except BaseException:
            continue
        return False
    return True


def _run_cell(cell: dict, namespace: dict, guard: Guard, megabytes: int) -> dict:
    kind, printed, changed, problem = cell.get("kind", "own"), _Printed(), [], ""
    before = dict(namespace) if kind == "locked" else {}
    if kind in ("test", "locked"):
        changed = guard.restore(namespace)
    sys.stdout = sys.stderr = printed
    try:
        _execute(cell["source"], f"<{cell['id']}>", namespace, show_lines=kind != "test")
    except BaseException as error:  # also SystemExit: nothing may end the worker unreported
        problem = _describe(error, megabytes)
    if kind == "locked" and not problem:
        guard.learn(before, namespace)
    if kind == "test" and not problem:
        guard.restore(namespace)
        if not _accepts_nothing(cell, namespace):
            problem = "the tests were tampered with: they accept an empty answer."
    output = "" if kind == "test" else printed.text()
    return {"error": problem, "output": output, "changed": sorted(set(changed))[:10]}


def main() -> None:
    questions = os.fdopen(os.dup(0), "rb")
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    me = os.getpid()
    request = json.loads(questions.readline())
    sys.path[:] = request["path"]

    def report(token: str, event: str, **content: object) -> None:
        if os.getpid() != me:
            os._exit(0)  # a child that the student's code has forked
        line = json.dumps({"token": token, "event": event, **content}).encode() + b"\n"
        while line:
            line = line[out.write(line) :]

    _become(request.get("user"))
    import torch

    from wmlearn.teach.checks import exercises

    exercises()  # loaded before the memory is counted
    torch.set_num_threads(1)
    torch.manual_seed(0)
    guard = Guard(request.get("open_names", ()))
    megabytes = request["megabytes"]
    limits = _limit(megabytes, request["cpu_seconds"], request.get("processes"))
    report(request["token"], "ready", limits=limits, base=_anonymous_megabytes())

    notebook = types.ModuleType("__main__")
    for line in iter(questions.readline, b""):
        cell = json.loads(line)
        token = cell.pop("token")
        if "call" in request:
            report(token, "returned", **_call(request, megabytes))
            return
        sys.modules["__main__"] = notebook
        result = _run_cell(cell, notebook.__dict__, guard, megabytes)
        if request.get("boxed") and os.getpid() == me:
            _end_all_others()
        report(token, "cell", id=cell["id"], **result)
    os._exit(0)  # at once, whatever threads and exit handlers the student's code has left


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


def _call(request: dict, megabytes: int) -> dict:
    try:
        target = importlib.import_module(request["call"][0])
        for part in request["call"][1].split("."):
            target = getattr(target, part)
        value = target(*request["args"])
        json.dumps(value)
    except BaseException as error:
        return {"value": None, "error": _describe(error, megabytes)}
    return {"value": value, "error": ""}


if __name__ == "__main__":
    main()
