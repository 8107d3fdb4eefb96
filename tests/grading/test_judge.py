"""The judge outside the box says of every kept answer what the check says in the notebook."""

from __future__ import annotations

import inspect
import runpy

import pytest
import torch
from places import ROOT

from wmlearn.grading.judging import run_test
from wmlearn.grading.piped import Piped
from wmlearn.grading.releasing import read_notebook, render, stub_of
from wmlearn.grading.scoring import grade
from wmlearn.grading.talking import Clock, Talk
from wmlearn.teach.answers import Answer, Changed, InProcess, Leaf, Net, Stopped
from wmlearn.teach.checks import Hint, find, judge

SOURCES = sorted((ROOT / "notebooks/exercises").glob("[0-9]*.ipynb"))
KEPT = sorted((ROOT / "tests/exercises").glob("[0-9]*_[0-9].py"))


def in_process(number: str, functions: tuple) -> str:
    parameters = inspect.signature(find(number).verify).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return judge(number, InProcess(dict(zip(names, functions, strict=True))), [])


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_kept_answer_gets_the_same_words_as_in_the_notebook(path):
    number = path.stem.replace("_", ".")
    kept = {"ALSO": [], **runpy.run_path(str(path))}
    # lines of the file keep their numbers: hints quote the learner's line
    source = path.read_text(encoding="utf-8")
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
                if theirs != mine:
                    different.append((name, theirs, mine))
        assert different == []


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
    (tmp_path / "a.ipynb").write_text(render(notebook), encoding="utf-8")
    report = grade(tmp_path / "a.ipynb", SOURCES[0], no_sandbox=True)
    assert report.points == 0
    words = {score.message for score in report.scores} - {"not answered."}  # the essay's
    assert len(words) == 7 and all("is not written yet" in text for text in words)


# The pipe


CELL = """
import torch
from torch import nn

def double(x): return x * 2
def writes(x): x.add_(1)
def both(f, x): return f(x, scale=3), f(x)
def slope(net, x): return net(x).sum()
def swallow(f):
    try: f(torch.ones(1))
    except ValueError as error: return str(error)
def stops(): raise ValueError("here")
def leaves(): raise SystemExit(3)
def unwritten(): raise NotImplementedError()

class Memory(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.total = start
    def forward(self, x):
        self.total = self.total + x
        return self.total
    def forget(self):
        self.total = 0

size = [1, 2]
"""
NAMES = ["double", "writes", "both", "slope", "swallow", "stops", "leaves", "unwritten", "Memory",
         "size", "gone"]  # fmt: skip


@pytest.fixture(scope="module")
def talk():
    with Talk(Clock(300), 60, 1024) as talk:
        talk.begin()
        talk.allow()
        assert talk.ask("cell", id="cell", source=CELL)["error"] == ""
        yield talk


def backends(talk) -> list:
    talk.allow()
    kinds = talk.ask("names", key="k", names=NAMES)["kinds"]
    assert (kinds["double"], kinds["size"], kinds["gone"]) == ("function", "data", "missing")
    names: dict = {}
    exec(CELL, names)
    return [InProcess(names), Piped(talk, "k")]


def test_values_writes_callbacks_and_gradients_are_the_same_on_both_sides(talk):
    def scaled(x, scale=1):
        return x * scale

    def linear(parameters, x):
        return x @ parameters["w"]

    for backend in backends(talk):
        assert torch.equal(Answer("double", backend)(torch.ones(2)), torch.full((2,), 2.0))
        with pytest.raises(Changed, match=r"writes changed its argument `x` in place"):
            Answer("writes", backend)(torch.zeros(1))
        reply = Answer("writes", backend).ask(torch.zeros(1), writes=(0,))
        assert reply.arguments[0].item() == 1
        a, b = Answer("both", backend)(scaled, torch.ones(2))
        assert a.tolist() == [3, 3] and b.tolist() == [1, 1]
        w, x = torch.tensor([2.0, 5.0]), torch.tensor([1.0, 3.0])
        reply = Answer("slope", backend).ask(Net({"w": w}, linear), Leaf(x), pull=1.0)
        assert reply.value.item() == 17 and reply.value.tracked
        assert torch.equal(reply.gradients[0]["w"], x) and torch.equal(reply.gradients[1], w)


def test_what_a_callback_raises_goes_through_the_answers_code(talk):
    def refuses(x):
        raise ValueError("not this one")

    def hints(x):
        raise Hint("look here")

    for backend in backends(talk):
        assert Answer("swallow", backend)(refuses) == "not this one"
        with pytest.raises(Hint, match="look here"):
            Answer("swallow", backend)(hints)


def test_objects_with_a_state_are_built_and_stepped_where_the_answer_is(talk):
    for backend in backends(talk):
        memory = Answer("Memory", backend).build(torch.zeros(1))
        assert memory(torch.ones(1)).item() == 1 and memory(torch.ones(1)).item() == 2
        memory.method("forget")()
        other = Answer("Memory", backend).build(torch.ones(1))
        assert memory(torch.ones(1)).item() == 1 and other(torch.ones(1)).item() == 2


def test_errors_come_in_one_line_with_the_students_own(talk):
    _, backend = backends(talk)
    with pytest.raises(Stopped, match=r"ValueError: here \(at line \d+: `def stops\(\): raise"):
        Answer("stops", backend)()
    with pytest.raises(Stopped, match="SystemExit: 3"):
        Answer("leaves", backend)()
    with pytest.raises(Stopped) as caught:
        Answer("unwritten", backend)()
    assert caught.value.unwritten
    assert backend.get("size") == [1, 2]


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("assert double(2) == 4", ""),
        ("assert double(2) == 5, 'twice'", "AssertionError: twice"),
        ("assert size == [1, 2]", ""),
        ("assert double(limit) == 14", ""),
        ("import math\nfor n in range(3):\n    assert math.isclose(double(n), 2 * n)", ""),
        ("assert gone() == 1", "gone is not defined: the answer's cell did not run to its end."),
        ("stops()", "it stopped with ValueError: here"),
        ('check("04.1", size)', "pass the function coefficients itself, without calling it."),
    ],
)
def test_a_teachers_own_tests_run_outside_too(talk, test, says):
    talk.allow()
    kinds = talk.ask("names", key="t", names=NAMES)["kinds"]
    cell = {"id": "t", "kinds": kinds}
    said = run_test(test, talk, cell, lambda: {"limit": 7}, hidden=False)
    assert said.startswith(says) and bool(said) == bool(says)
    if says:
        hidden = run_test(test, talk, cell, lambda: {"limit": 7}, hidden=True)
        assert hidden.startswith("it passes the visible test, but not the hidden one")
        assert "here" not in hidden and "gone" not in hidden
