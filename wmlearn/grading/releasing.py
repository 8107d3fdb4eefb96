"""From the teacher's notebook to the student's: solutions and hidden tests are cut out.

The markers and the cell metadata are nbgrader's (schema version 3), and so is the result: the
same source works with ``nbgrader generate_assignment``. This module needs no nbgrader.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

CODE_STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TEXT_STUB = ("YOUR ANSWER HERE",)


def read_notebook(path: str | Path, unique: bool = True) -> dict:
    """A notebook (format 4) as a dictionary, each cell's source as one string.

    Args:
        path: the file.
        unique: refuse a notebook in which two cells have the same grade_id.

    Raises:
        ValueError: if the file is no such notebook.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror}).") from None
    notebook = parse_notebook(content, str(path))
    if not unique:
        return notebook
    ids = [cell["metadata"]["nbgrader"].get("grade_id") for cell in notebook["cells"]]
    twice = {name for name in ids if name and ids.count(name) > 1}
    if twice:
        raise ValueError(f"{path}: several cells have the grade_id {', '.join(sorted(twice))}.")
    return notebook


def parse_notebook(content: bytes, name: str) -> dict:
    """The same, of the file's bytes.

    Raises:
        ValueError: if they are no such notebook; ``name`` stands in the sentence.
    """
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"]).replace("\r\n", "\n")
            cell["cell_type"] = str(cell["cell_type"])
            if not isinstance(cell["metadata"].setdefault("nbgrader", {}), dict):
                raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError):
        raise ValueError(f"{name} is not a Jupyter notebook (format 4): save it again.") from None
    return notebook


def release(source: str | Path, out: str | Path, solutions: bool = False) -> Path:
    """Writes the student's version of a teacher's notebook.

    Args:
        source: notebook with ``### BEGIN SOLUTION`` and ``### BEGIN HIDDEN TESTS`` regions.
        out: where the student's notebook goes.
        solutions: for after the deadline: a fold *Solution* stands below each answer.

    Raises:
        ValueError: if a region is not closed, is nested, or stands in a cell of another kind.
    """
    notebook = student_version(read_notebook(source))
    if solutions:
        _fold_in(notebook, read_notebook(source))
    text = render(notebook)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return out


def student_version(notebook: dict) -> dict:
    """The notebook without solutions, hidden tests and outputs; the argument stays as it is."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook["cells"]:
        meta, code = cell["metadata"]["nbgrader"], cell["cell_type"] == "code"
        name = meta.get("grade_id", "a cell without grade_id")
        stub = CODE_STUB if code else TEXT_STUB
        text, solved = _cut(cell["source"], "SOLUTION", stub, name)
        if solved and not meta.get("solution"):
            raise ValueError(f"{name}: a solution stands in a cell that is not a solution cell.")
        if meta.get("solution") and not solved:
            text = "\n".join(stub)
        text, tested = _cut(text, "HIDDEN TESTS", (), name)
        if tested and not meta.get("grade"):
            raise ValueError(f"{name}: hidden tests stand in a cell that is not graded.")
        cell["source"] = text
        if code:
            cell["outputs"], cell["execution_count"] = [], None
    return notebook


def _fold_in(notebook: dict, teacher: dict) -> None:
    """Puts the teacher's answer below each answer cell, in a fold."""
    cells = []
    for cell, solved in zip(notebook["cells"], teacher["cells"], strict=True):
        cells.append(cell)
        if not cell["metadata"]["nbgrader"].get("solution"):
            continue
        text = re.sub(r"(?m)^ *### (BEGIN|END) SOLUTION\n?", "", solved["source"]).strip()
        if cell["cell_type"] == "code":
            text = f"```python\n{text}\n```"
        text = f"<details>\n<summary>Solution</summary>\n\n{text}\n\n</details>"
        fold = {"cell_type": "markdown", "metadata": {"nbgrader": {}}, "source": text}
        cells.append({**fold, "id": f"{cell['id']}-solution"} if "id" in cell else fold)
    notebook["cells"] = cells


def stub_of(cell: dict) -> str:
    """What stands in a teacher's answer cell when the students get it."""
    return student_version({"cells": [cell]})["cells"][0]["source"]


def split_hidden(source: str) -> tuple[str, str]:
    """A teacher's cell as what students see of it, and its hidden tests."""
    lines, inside = {True: [], False: []}, False
    for line in source.split("\n"):
        if "BEGIN HIDDEN TESTS" in line or "END HIDDEN TESTS" in line:
            inside = "BEGIN" in line
        else:
            lines[inside].append(line)
    return "\n".join(lines[False]), "\n".join(lines[True])


def render(notebook: dict) -> str:
    """The notebook as the text of an .ipynb file, the same for the same content."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
        if not cell["metadata"]["nbgrader"]:
            del cell["metadata"]["nbgrader"]
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cut(text: str, what: str, stub: tuple[str, ...], name: str) -> tuple[str, bool]:
    """Replaces each ``BEGIN what`` ... ``END what`` region by the stub; says if there was one."""
    kept: list[str] = []
    inside = found = False
    for line in text.split("\n"):
        if f"BEGIN {what}" in line:
            if inside:
                raise ValueError(f"{name}: BEGIN {what} inside BEGIN {what}.")
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + stub_line for stub_line in stub]
            inside = found = True
        elif f"END {what}" in line:
            if not inside:
                raise ValueError(f"{name}: END {what} without BEGIN {what}.")
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"{name}: BEGIN {what} without END {what}.")
    return "\n".join(kept), found
