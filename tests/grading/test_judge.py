"""The judge outside the box says of every kept answer what the check says in the notebook."""

from __future__ import annotations

import runpy

import pytest
from places import ROOT

from wmlearn.grading.judging import run_test
from wmlearn.grading.releasing import read_notebook, stub_of
from wmlearn.grading.scoring import grade
from wmlearn.grading.talking import Clock, Talk
from wmlearn.teach.answers import InProcess
from wmlearn.teach.checks import find, judge

SOURCES = sorted((ROOT / "notebooks/exercises").glob("[0-9]*.ipynb"))
KEPT = sorted((ROOT / "tests/exercises").glob("[0-9]*_[0-9].py"))


def in_process(number: str, functions: tuple) -> str:
    import inspect

    parameters = inspect.signature(find(number).verify).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return judge(number, InProcess(dict(zip(names, functions, strict=True))), [])


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_kept_answer_gets_the_same_words_as_in_the_notebook(path):
    number = path.stem.replace("_", ".")
    kept = {"ALSO": [], **runpy.run_path(str(path))}
    # lines of the file keep their numbers: hints quote the learner's line
    source = path.read_text(encoding="utf-8")
    assert not {"ANSWERS_OF_THE_TEST"} & set(kept)
    with Talk(Clock(600), 120, 2048) as talk:
        talk.begin()
        talk.allow()
        assert talk.ask("cell", id=path.name, source=source)["error"] == ""
        different = []
        for kind in ("RIGHT", "WRONG", "ALSO"):
            for i, (name, functions, *_) in enumerate(kept[kind]):
                count = len(functions)
                names = [f"answer{n}" for n in range(count)]
                bind = f"{', '.join(names)}, = {kind}[{i}][1]"
                talk.allow()
                assert talk.ask("cell", id="bind", source=bind)["error"] == ""
                cell = {"id": f"{kind}{i}", "kinds": dict.fromkeys(names, "function")}
                talk.ask("names", key=cell["id"], names=names)
                test = f'check("{number}", {", ".join(names)})'
                theirs = run_test(test, talk, cell, dict, hidden=False)
                mine = in_process(number, functions)
                assert bool(mine) == (kind != "RIGHT")
                if _words(theirs) != _words(mine):
                    different.append((name, theirs, mine))
        assert different == []


def _words(hint: str) -> str:
    """A hint without the file of the line that it quotes."""
    return hint


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_solved_notebook_gets_all_points(source):
    report = grade(source, source, no_sandbox=True)
    for score in report.scores:
        assert score.points in (score.maximum, None), score


def test_a_submission_without_answers_gets_nothing(tmp_path):
    notebook = read_notebook(SOURCES[0])
    for cell in notebook["cells"]:
        if cell["metadata"]["nbgrader"].get("solution"):
            cell["source"] = stub_of(cell)
    from wmlearn.grading.releasing import render

    (tmp_path / "a.ipynb").write_text(render(notebook), encoding="utf-8")
    report = grade(tmp_path / "a.ipynb", SOURCES[0], no_sandbox=True)
    assert report.points == 0
    assert all("not written yet" in s.message for s in report.scores if s.points == 0 and s.maximum)
