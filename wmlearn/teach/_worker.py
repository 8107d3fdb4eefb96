"""The limited process itself: started by ``limits.py`` as a script, with its job on stdin.

It reports JSON lines on its original stdout; what the student's code prints goes nowhere.
"""

from __future__ import annotations

import importlib
import json
import linecache
import os
import sys
import types


def _limit(megabytes: int, cpu_seconds: int) -> str:
    """Sets the limits that this system has, and says in words which."""
    try:
        import resource
    except ImportError:
        return "wall-clock time only (Windows has no memory limit for a process)"
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    if sys.platform != "linux":
        return "wall-clock and processor time (this system enforces no memory limit)"
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    total = used + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (total, total))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**27, 2**27))
    return f"wall-clock and processor time, {megabytes} MB of memory, files of 128 MB"


def _describe(error: BaseException, megabytes: int) -> str:
    from wmlearn.teach.checks import CheckFailed, describe

    if isinstance(error, CheckFailed):
        return error.hint
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return f"it needs more than its {megabytes} MB of memory."
    return describe(error)


def _run_cell(source: str, name: str, namespace: dict) -> None:
    plain = (line for line in source.split("\n"))
    plain = ["pass  # " + line if line.startswith(("%", "!")) else line for line in plain]
    text = "\n".join(plain)
    linecache.cache[name] = (len(text), None, [line + "\n" for line in plain], name)
    exec(compile(text, name, "exec"), namespace)


def main() -> None:
    request = json.loads(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    sys.path[:] = request["path"]

    def report(event: str, **content: object) -> None:
        line = json.dumps({"token": request["token"], "event": event, **content})
        out.write(line.encode() + b"\n")

    import torch

    import wmlearn.teach  # noqa: F401  loaded before the memory is counted

    torch.set_num_threads(1)
    megabytes = request["megabytes"]
    report("ready", limits=_limit(megabytes, request["cpu_seconds"]))

    if "call" in request:
        value, problem = None, ""
        try:
            target = importlib.import_module(request["call"][0])
            for part in request["call"][1].split("."):
                target = getattr(target, part)
            value = target(*request["args"])
            json.dumps(value)
        except BaseException as error:  # also SystemExit: nothing may end the worker unreported
            value, problem = None, _describe(error, megabytes)
        report("returned", value=value, error=problem)
        return

    notebook = types.ModuleType("__main__")
    sys.modules["__main__"] = notebook
    for cell in request["cells"]:
        report("start", id=cell["id"])
        problem = ""
        try:
            _run_cell(cell["source"], f"<{cell['id']}>", notebook.__dict__)
        except BaseException as error:
            problem = _describe(error, megabytes)
        report("cell", id=cell["id"], error=problem)
    report("end")


if __name__ == "__main__":
    main()
