"""Three steps for nbgrader's pipeline, named in a course's ``nbgrader_config.py``.

They replace nbgrader's own merging, execution and feedback, so that Formgrader's
buttons and ``wmlearn teach`` do the same.
"""

from __future__ import annotations

from pathlib import Path

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import compute_checksum
from traitlets import Bool, Float, Integer

from wmlearn.grading.merging import merged_notebook, plan
from wmlearn.grading.reading import harmless
from wmlearn.grading.records import key_of, load_outcome, save_outcome
from wmlearn.grading.releasing import read_notebook, split_hidden, stub_of
from wmlearn.grading.sandbox import require_box
from wmlearn.grading.scoring import Limits, run_plan


def _teacher(resources: dict) -> dict:
    """The assignment's notebook with its tests. nbgrader works in the course's folder."""
    names = resources["nbgrader"]
    return read_notebook(
        Path("source") / names["assignment"] / f"{names['notebook']}.ipynb", unique=True
    )


def _as_submission(nb: NotebookNode) -> dict:
    cells = []
    for cell in nb.cells:
        meta = dict(cell.metadata.get("nbgrader", {}))
        cells.append({"cell_type": cell.cell_type, "source": cell.source,
                      "metadata": {"nbgrader": meta}})  # fmt: skip
    return {"cells": cells}


class TeachersCells(NbGraderPreprocessor):
    """Keeps a submission's answers and own cells; all else is the teacher's."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        teacher = _teacher(resources)
        planned = plan(_as_submission(nb), teacher)
        stubs = {c["metadata"]["nbgrader"].get("grade_id"): stub_of(c) for c in teacher["cells"]}
        merged = from_dict(merged_notebook(planned, teacher))
        for cell in merged.cells:
            meta = cell.metadata.nbgrader
            if not meta:
                del cell.metadata["nbgrader"]
                continue
            meta.cell_type = cell.cell_type
            if meta.get("solution"):  # nbgrader gives an unchanged answer no points
                answer, cell.source = cell.source, stubs[meta.grade_id]
                tame = answer if cell.cell_type == "code" else harmless(answer)
                meta.checksum, cell.source = compute_checksum(cell), tame
        nb.cells, nb.metadata = merged.cells, merged.metadata
        nb.nbformat, nb.nbformat_minor = merged.nbformat, merged.nbformat_minor
        return nb, resources


class RunInBox(NbGraderPreprocessor):
    """Runs the notebook in the sandbox, or finds that it was run before, and writes the outputs."""

    seconds = Float(60, help="wall-clock limit of a cell").tag(config=True)
    total = Float(300, help="wall-clock limit of a notebook").tag(config=True)
    megabytes = Integer(2048, help="memory of a notebook").tag(config=True)
    no_sandbox = Bool(False, help="run it also where there is no box").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        teacher = _teacher(resources)
        planned = plan(_as_submission(nb), teacher)
        limits = Limits(self.seconds, self.total, self.megabytes)
        store = Path(".graded") / resources["nbgrader"]["assignment"]
        key = key_of(planned, limits)
        outcome = load_outcome(store, key)
        if outcome is None:
            require_box(self.no_sandbox)
            outcome = run_plan(planned, teacher, limits)
            save_outcome(store, key, outcome)
        names = iter(cell["id"] for cell in planned.cells)
        for cell in nb.cells:
            if cell.cell_type != "code":
                continue
            name = next(names)
            cell.outputs = []
            if text := outcome.outputs.get(name):
                cell.outputs.append(new_output("stream", name="stdout", text=text))
            # a cell that has no result has not passed: nbgrader gives points where no error is
            if error := outcome.errors.get(name, "it did not run."):
                lines = [f"not passed: {error}"]
                cell.outputs.append(
                    new_output("error", ename="NotPassed", evalue=error, traceback=lines)
                )
        return nb, resources


class HideTests(NbGraderPreprocessor):
    """Takes hidden tests and what cells printed out of the page that a student gets."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        for cell in nb.cells:
            hidden = split_hidden(cell.source)
            cell.source = hidden[0]
            if cell.cell_type == "code":
                test = bool(cell.metadata.get("nbgrader", {}).get("grade"))
                cell.outputs = [o for o in cell.outputs if test and o.output_type == "error"]
        return nb, resources
