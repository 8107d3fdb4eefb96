"""Which cells of a submission count: its answers, between the teacher's own cells and tests.

A submission is a text that a stranger wrote. Here it is read, never run.
"""

from __future__ import annotations

import ast
import json
import re
import threading
from dataclasses import dataclass

from wmlearn.grading.reading import unusual
from wmlearn.grading.releasing import CODE_STUB, TEXT_STUB, split_hidden, stub_of

_PARSING = threading.Lock()  # Python 3.11 counts the depth of a tree for all threads together


@dataclass(frozen=True)
class Plan:
    """What to run, and what a person should know about it.

    Attributes:
        cells: in order: id, kind (locked, own, answer, test), source, and for a test the names
            that the answers define. Tests stay with the judge.
        answers: the submitted text of each answer cell, by grade_id.
        missing: answer cells that the submission lacks.
        notes: what is unusual in the submission, in words.
    """

    cells: tuple[dict, ...]
    answers: dict[str, str]
    missing: frozenset[str]
    notes: tuple[str, ...]


def plan(submission: dict, teacher: dict) -> Plan:
    """The teacher's notebook with the submission's answers and own cells in their places.

    Tests and locked cells are always the teacher's. Of a cell that is there twice, all versions
    run in their order, as they do in the student's own notebook; untouched stubs are left out.
    """
    kinds = {_id(cell): cell for cell in teacher["cells"] if _id(cell)}
    known = {cell["source"].strip() for cell in teacher["cells"]}
    known |= {split_hidden(cell["source"])[0].strip() for cell in teacher["cells"]}
    found: dict[str, list[str]] = {}
    extras: dict[str, list[str]] = {}  # the student's own cells, by the cell that they follow
    anchor, notes = "", []
    for cell in submission["cells"]:
        name, text = _id(cell), cell["source"]
        if name in kinds:
            anchor, original = name, kinds[name]
            if original["metadata"]["nbgrader"].get("solution"):
                if cell["cell_type"] == original["cell_type"]:
                    found.setdefault(name, []).append(text)
            elif text.strip() not in known:
                notes.append(f"{name}: locked cell was edited (the original was used)")
                found[name] = [text]
            elif name in found:
                notes.append(f"{name}: locked cell is there more than once")
            else:
                found[name] = [text]
        elif cell["cell_type"] == "code" and text.strip() and text.strip() not in known:
            extras.setdefault(anchor, []).append(text)
    answers = {}
    for name, texts in found.items():
        if not kinds[name]["metadata"]["nbgrader"].get("solution"):
            continue
        if len(texts) > 1:
            notes.append(f"{name}: answer cell is there {len(texts)} times")
        changed = [text for text in texts if text.strip() != stub_of(kinds[name]).strip()]
        answers[name] = "\n\n".join(changed or texts[:1])
    lost = [
        n for n, c in kinds.items() if c["metadata"]["nbgrader"].get("grade") and n not in found
    ]
    notes += [f"{name}: graded cell was deleted (the original was used)" for name in lost]
    for name, texts in [*answers.items(), *(("own cell", t) for t in extras.values())]:
        text = texts if isinstance(texts, str) else "\n".join(texts)
        notes += [f"{name}: {why}" for why in unusual(text)]
    cells, missing = _cells(teacher, answers, extras)
    return Plan(tuple(cells), answers, missing, tuple(dict.fromkeys(notes)))


def _cells(teacher: dict, answers: dict, extras: dict) -> tuple[list[dict], frozenset[str]]:
    cells: list[dict] = []
    missing: set[str] = set()

    def own(after: str) -> None:
        for i, text in enumerate(extras.get(after, ())):
            where = f"own cell {i + 1} after {after or 'the start'}"
            cells.append({"id": where, "kind": "own", "source": text})

    own("")
    pending: list[dict] = []  # the teacher's answer cells of the exercise at hand
    for i, cell in enumerate(teacher["cells"]):
        meta, name = cell["metadata"]["nbgrader"], _id(cell) or f"cell {i + 1}"
        if cell["cell_type"] == "code" and meta.get("solution"):
            pending = [c for c in pending if exercise_of(_id(c)) == exercise_of(name)] + [cell]
            if name in answers:
                cells.append({"id": name, "kind": "answer", "source": answers[name]})
            else:
                missing.add(name)
        elif cell["cell_type"] == "code" and meta.get("grade"):
            mine = [c for c in pending if exercise_of(_id(c)) == exercise_of(name)]
            cells.append(
                {
                    "id": name,
                    "kind": "test",
                    "source": cell["source"],
                    "names": sorted({n for c in mine for n in _defined(c["source"])}),
                }
            )
        elif cell["cell_type"] == "code":
            cells.append({"id": name, "kind": "locked", "source": cell["source"]})
        if _id(cell):
            own(name)
    return cells, frozenset(missing)


def merged_notebook(planned: Plan, teacher: dict) -> dict:
    """The plan as a notebook in the teacher's order; planning it again gives the same plan."""
    cells: list[dict] = []

    def own(after: str) -> None:
        for cell in planned.cells:
            if cell["kind"] == "own" and cell["id"].rpartition(" after ")[2] == after:
                name = f"own-{len(cells)}"
                cells.append(_cell("code", cell["source"], name, {}))

    own("the start")
    for i, cell in enumerate(teacher["cells"]):
        meta, name = cell["metadata"]["nbgrader"], _id(cell)
        text = cell["source"]
        if meta.get("solution") and name in planned.missing:
            own(name)
            continue
        if meta.get("solution"):
            text = planned.answers.get(name, "")
            text = text if cell["cell_type"] == "code" or answered(text) else stub_of(cell)
        cells.append(_cell(cell["cell_type"], text, name or f"cell-{i}", meta))
        if name:
            own(name)
    return {"cells": cells, "metadata": teacher["metadata"], "nbformat": 4, "nbformat_minor": 5}


def _cell(kind: str, text: str, name: str, meta: dict) -> dict:
    made = {"cell_type": kind, "id": name[:64], "source": text, "metadata": {"nbgrader": meta}}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def blank(teacher: dict) -> dict:
    """A submission without an answer, in place of one that cannot be read."""
    cells = [c for c in teacher["cells"] if not c["metadata"]["nbgrader"].get("solution")]
    return {**teacher, "cells": cells}


def exercise_of(grade_id: str) -> str:
    """``04-1-test`` -> ``04.1``."""
    match = re.match(r"(\d+)-(\d+)", grade_id or "")
    return f"{match[1]}.{match[2]}" if match else grade_id


def answered(text: str) -> bool:
    """Whether a written answer is more than its stub."""
    return text.strip() not in ("", "\n".join(TEXT_STUB), "\n".join(CODE_STUB))


def hidden_lines(teacher: dict) -> set[str]:
    """The lines of hidden tests that stand nowhere else: no student may read them."""
    shown, secret = set(), set()
    for cell in teacher["cells"]:
        visible, hidden = split_hidden(cell["source"])
        shown |= {line.strip() for line in visible.split("\n")}
        secret |= {line.strip() for line in hidden.split("\n")}
    return {line for line in secret - shown if len(line) > 12}


def _id(cell: dict) -> str:
    name = cell["metadata"]["nbgrader"].get("grade_id", "")
    return name if isinstance(name, str) else ""


def _defined(source: str) -> set[str]:
    """The names that a cell defines at its top level; none if Python cannot read it."""
    try:
        with _PARSING:
            body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # too deep, say
        return set()
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            continue
        else:
            names |= {
                n.id
                for n in ast.walk(node)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
    return names


def canonical(job: object) -> str:
    """The same text for the same content, for a key."""
    return json.dumps(job, sort_keys=True, ensure_ascii=True)
