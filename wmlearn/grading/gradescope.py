"""Gradescope's autograder zip, made by otter-grader from the same teacher's notebook.

The notebook is rewritten in otter's words (``# BEGIN QUESTION`` ...) and given to ``otter assign``.
Each question has a visible test (the check) and a hidden one (check and hidden tests); both must
pass for its points. They are functions, not doctests, because a check prints what holds. The
library travels in the zip, because Gradescope builds a machine of its own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from wmlearn.grading.merging import exercise_of
from wmlearn.grading.releasing import read_notebook, split_hidden, stub_of

_LIBRARY = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("torch", "numpy", "gymnasium", "lightning", "safetensors", "torchmetrics")


class Made(NamedTuple):
    """The two files: for Gradescope, and for the students."""

    autograder: Path
    student: Path


def make_zip(source: Path, out: Path) -> Made:
    """Writes ``out/NAME-autograder.zip`` and ``out/NAME.ipynb``.

    Args:
        source: the teacher's notebook, public or a course's variant.
        out: a folder, made if it is missing.
    """
    try:
        from otter.assign import main as assign
    except ModuleNotFoundError:
        raise ValueError('This needs otter-grader: pip install "wmlearn[teach]".') from None
    name = source.stem
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(_LIBRARY, folder / "wmlearn", ignore=ignore)
        library = [p.relative_to(folder).as_posix() for p in (folder / "wmlearn").rglob("*.py")]
        library += [p.relative_to(folder).as_posix() for p in (folder / "wmlearn").rglob("*.json")]
        (folder / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n")
        notebook = otter_source(read_notebook(source), sorted(library))
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        assign(str(folder / f"{name}.ipynb"), str(folder / "dist"), no_pdfs=True, no_run_tests=True)
        [zipped] = (folder / "dist" / "autograder").glob("*.zip")
        made = Made(out / f"{name}-autograder.zip", out / f"{name}.ipynb")
        shutil.copy(zipped, made.autograder)
        shutil.copy(folder / "dist" / "student" / f"{name}.ipynb", made.student)
    return made


def otter_source(notebook: dict, library: list[str]) -> dict:
    """The teacher's notebook in otter's format (v1 and later)."""
    cells = [_raw(_config(library))]
    groups: dict[str, list[dict]] = {}
    for cell in notebook["cells"]:
        groups.setdefault(exercise_of(cell["metadata"]["nbgrader"].get("grade_id", "")), [])
    done: set[str] = set()
    for cell in notebook["cells"]:
        meta = cell["metadata"]["nbgrader"]
        number = exercise_of(meta.get("grade_id", ""))
        code = cell["cell_type"] == "code"
        if meta.get("grade") and not code:
            cells += _written(cell, meta)
        elif meta.get("grade"):
            mine = [
                c
                for c in notebook["cells"]
                if c["cell_type"] == "code"
                and c["metadata"]["nbgrader"].get("solution")
                and exercise_of(c["metadata"]["nbgrader"].get("grade_id", "")) == number
            ]
            cells += _question(number, mine, cell, float(meta["points"]))
            done.add(number)
        elif code and meta.get("solution"):
            continue  # stands in its question
        else:
            cells.append(_cell(cell["cell_type"], cell["source"]))
    return {**notebook, "cells": cells, "nbformat": 4, "nbformat_minor": 4}


def _config(library: list[str]) -> str:
    lines = ["# ASSIGNMENT CONFIG", "init_cell: true", "export_cell: false", "files:"]
    lines += [f"    - {path}" for path in library]
    lines += ["requirements: requirements.txt", "overwrite_requirements: false"]
    lines += ["tests:", "    ok_format: false"]
    return "\n".join([*lines, "show_question_points: true"])


def _question(number: str, answers: list[dict], test: dict, points: float) -> list[dict]:
    name = "q" + number.replace(".", "_")
    head = f"# BEGIN QUESTION\nname: {name}\npoints: {points:g}\nall_or_nothing: true"
    made = [_raw(head), _raw("# BEGIN SOLUTION")]
    for cell in answers:
        text = cell["source"].replace("### BEGIN SOLUTION", "# BEGIN SOLUTION NO PROMPT")
        made.append(_cell("code", text.replace("### END SOLUTION", "# END SOLUTION")))
        stub = stub_of(cell).replace('"""', "'''")
        made[-1]["source"] = _with_prompt(cell["source"], stub)
    visible, hidden = split_hidden(test["source"])
    made += [_raw("# END SOLUTION"), _raw("# BEGIN TESTS")]
    made.append(_cell("code", _test(f"{name}_check", visible)))
    if hidden.strip():
        made.append(_cell("code", "# HIDDEN\n" + _test(f"{name}_hidden", visible + "\n" + hidden)))
    return [*made, _raw("# END TESTS"), _raw("# END QUESTION")]


def _test(name: str, body: str) -> str:
    """The test as otter wants it: a function of the student's names, which an error fails."""
    lines = "\n".join(f"        {line!r}," for line in body.rstrip().split("\n"))
    return (
        f'def {name}(env):\n    lines = [\n{lines}\n    ]\n    exec("\\n".join(lines), dict(env))'
    )


def _with_prompt(source: str, stub: str) -> str:
    """The solution, which otter cuts out, and the stub, which it puts there instead."""
    body = source.replace("### BEGIN SOLUTION\n", "").replace("### END SOLUTION", "")
    kept = "\n".join(line.rstrip() for line in body.split("\n") if line.strip() != "")
    return (
        f"# BEGIN SOLUTION NO PROMPT\n{kept}\n# END SOLUTION\n"
        f'""" # BEGIN PROMPT\n{stub}\n""" # END PROMPT'
    )


def _written(cell: dict, meta: dict) -> list[dict]:
    name = "q" + meta["grade_id"].replace("-", "_")
    head = f"# BEGIN QUESTION\nname: {name}\npoints: {float(meta['points']):g}\nmanual: true"
    text = cell["source"].replace("### BEGIN SOLUTION", "").replace("### END SOLUTION", "")
    return [
        _raw(head),
        _raw("# BEGIN SOLUTION"),
        _cell("markdown", text.strip()),
        _raw("# END SOLUTION"),
        _raw("# END QUESTION"),
    ]


def _raw(source: str) -> dict:
    return {"cell_type": "raw", "metadata": {}, "source": source}


def _cell(kind: str, source: str) -> dict:
    extra = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **extra}
