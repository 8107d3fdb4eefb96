"""The judge's process: started by ``judges.py``; a job a line on stdin, results as lines on stdout.

It imports the checks and nothing of a student's. It is a process of its own so that it can be
ended when a job outlives its time, whatever happened in it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

_MEMORY = 4 * 2**30  # bytes beyond its own start


def main() -> None:
    jobs = os.fdopen(os.dup(0), "rb")
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(quiet, number)
    sys.path[:] = json.loads(sys.argv[1])
    import torch

    from wmlearn.grading.judging import Judge, split

    torch.set_num_threads(1)
    _limit_memory()

    def emit(event: str, cell: str = "", text: str = "") -> None:
        line = json.dumps({"event": event, "cell": cell, "text": text}).encode() + b"\n"
        while line:
            line = line[out.write(line) :]

    emit("ready")
    for line in iter(jobs.readline, b""):
        job = json.loads(line)
        try:
            Judge({**job, "cells": split(job["cells"])}, emit).run()
        except Exception as error:
            where = traceback.format_exc(limit=-3)
            emit("failed", "", f"{type(error).__name__}: {error}\n{where}")
        else:
            emit("end")


def _limit_memory() -> None:
    """An answer that takes the judge's memory ends in an error and leaves the machine's alone."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, most))


if __name__ == "__main__":
    main()
