"""Every exercise: the solution passes, each realistic wrong answer fails with a hint of its own."""

from __future__ import annotations

import json
import re
import runpy
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from places import ROOT

from wmlearn.grading.releasing import CODE_STUB, read_notebook, render, student_version
from wmlearn.teach import CheckFailed, check
from wmlearn.teach.checks import exercises

SOURCES = sorted((ROOT / "notebooks/exercises").glob("[0-9]*.ipynb"))
CHECK = re.compile(r'^check\("(\d\d\.\d+)", (.+?)\)', re.M)


def code_cells(notebook: dict) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(source=cell["source"], **{"solution": False, "grade": False, **meta})
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for meta in [cell["metadata"]["nbgrader"]]
    ]


def graded_cells(source: Path) -> list[SimpleNamespace]:
    return [cell for cell in code_cells(read_notebook(source)) if cell.grade]


CALLS = {
    number: (source, tuple(answers.split(", ")))
    for source in SOURCES
    for cell in graded_cells(source)
    for number, answers in CHECK.findall(cell.source)
}
NUMBERS = list(CALLS)
by_chapter = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def run_without_tests(notebook: dict) -> dict:
    """The names that the notebook's code cells define; graded cells are left out."""
    names: dict = {"__name__": "notebook"}
    for cell in code_cells(notebook):
        if cell.grade or "show()" in cell.source:
            continue
        exec(cell.source, names)
    return names


@cache
def solved(source: Path) -> dict:
    return run_without_tests(read_notebook(source))


def solutions(number: str) -> list:
    source, names = CALLS[number]
    return [solved(source)[name] for name in names]


def hidden_tests(number: str) -> str:
    [cell] = [cell for cell in graded_cells(CALLS[number][0]) if f'check("{number}"' in cell.source]
    [hidden] = re.findall(r"### BEGIN HIDDEN TESTS\n(.*)### END HIDDEN TESTS", cell.source, re.S)
    return hidden


def wrong_answers(number: str) -> dict:
    """``WRONG``, and ``VISIBLE_ONLY``: right in value, so only the visible check minds them."""
    path = ROOT / "tests/wrong_answers" / f"{number.replace('.', '_')}.py"
    return {"VISIBLE_ONLY": set(), **runpy.run_path(str(path))}


def hint_of(number: str, *answers: object) -> str:
    with pytest.raises(CheckFailed) as caught:
        check(number, *answers)
    return caught.value.hint


def test_every_exercise_is_registered_and_in_a_notebook():
    assert list(exercises()) == sorted(NUMBERS)
    for number, (source, _) in CALLS.items():
        assert source.name.startswith(number[:2])


@by_chapter
def test_every_graded_cell_calls_the_check_of_one_exercise(source):
    tests = [CHECK.findall(cell.source) for cell in graded_cells(source)]
    assert 4 <= len(tests) <= 8 and all(len(found) == 1 for found in tests)


@by_chapter
def test_each_exercise_states_difficulty_minutes_points_and_what_it_teaches(source):
    notebook = read_notebook(source)
    texts = [cell["source"] for cell in notebook["cells"] if cell["source"].startswith("## Ex")]
    assert len(texts) == sum(1 for at, _ in CALLS.values() if at == source)
    stated = 0
    for text in texts:
        assert re.search(r"Difficulty \d of 5, \d+ minutes, [\d +]+ points?\. It teaches", text)
        points = re.search(r"minutes, ([\d +]+) points?", text)[1]
        stated += sum(map(int, points.split("+")))
    graded = [cell["metadata"]["nbgrader"] for cell in notebook["cells"]]
    assert stated == sum(meta["points"] for meta in graded if meta.get("grade"))


@by_chapter
def test_code_lines_are_short(source):
    lines = [line for cell in code_cells(read_notebook(source)) for line in cell.source.split("\n")]
    assert max(map(len, lines)) < 90


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_passes_visible_and_hidden_tests_in_time(number, capsys):
    start = time.process_time()
    answers = solutions(number)
    capsys.readouterr()  # what the notebook itself prints on its first run
    check(number, *answers)
    exec(hidden_tests(number), dict(solved(CALLS[number][0])))
    assert time.process_time() - start < 30
    assert capsys.readouterr().out.startswith(f"{number} ")


@pytest.mark.parametrize("number", NUMBERS)
def test_every_wrong_answer_fails_with_a_hint_of_its_own(number):
    wrong = wrong_answers(number)["WRONG"]
    assert len(wrong) >= 3
    hints = {name: hint_of(number, *answers) for name, answers, _ in wrong}
    for name, _, fragment in wrong:
        assert [other for other, hint in hints.items() if fragment in hint] == [name]


@pytest.mark.parametrize("number", NUMBERS)
def test_hidden_tests_alone_refuse_the_wrong_answers(number):
    kept, (source, names) = wrong_answers(number), CALLS[number]
    for name, answers, _ in kept["WRONG"]:
        if name in kept["VISIBLE_ONLY"]:
            continue
        submitted = {**solved(source), **dict(zip(names, answers, strict=True))}
        with pytest.raises((AssertionError, ArithmeticError, LookupError, RuntimeError, TypeError,
                            ValueError)):  # fmt: skip
            exec(hidden_tests(number), submitted)
            pytest.fail(f"{number}: the hidden tests accept {name}", pytrace=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_gets_a_friendly_hint(number):
    source, names = CALLS[number]
    stubs = run_without_tests(student_version(read_notebook(source)))
    assert "is not written yet" in hint_of(number, *(stubs[name] for name in names))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "answer",
    [
        lambda *args: None,
        lambda *args: 0.0,
        lambda *args: torch.zeros(3),
        lambda *args: torch.full((5,), torch.nan),
        lambda *args: args[0],
        lambda *args: args,
        lambda *args: (torch.zeros(5),) * 4,
        lambda *args: (torch.full((3, 4), torch.nan),) * 2,
        lambda *args: "text",
        lambda: 1,
    ],
)
def test_nonsense_never_passes(number, answer):
    assert hint_of(number, *[answer] * len(CALLS[number][1]))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_result_in_place_of_the_function_gets_a_hint(number):
    assert "without calling it" in hint_of(number, *[torch.zeros(3)] * len(CALLS[number][1]))


@by_chapter
def test_the_released_notebook_is_up_to_date(source):
    released = source.parent / "release" / source.name
    assert released.read_text(encoding="utf-8") == render(student_version(read_notebook(source))), (
        f"run: wmlearn teach release {source.relative_to(ROOT)} {released.relative_to(ROOT)}"
    )


@by_chapter
def test_the_released_notebook_holds_no_solutions_and_no_hidden_tests(source):
    released = (source.parent / "release" / source.name).read_text(encoding="utf-8")
    answers = sum(cell.source.count("BEGIN SOLUTION") for cell in code_cells(read_notebook(source)))
    source = [cell["source"] for cell in read_notebook(source)["cells"]]
    secret = [
        line.strip()
        for text in source
        for region in re.findall(r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)### END", text, re.S)
        for line in region.split("\n")
    ]
    shown = {
        line.strip()
        for text in source
        for line in re.sub(r"### BEGIN (.*?)\n.*?### END \1", "", text, flags=re.S).split("\n")
    }
    secret = [line for line in secret if len(line) > 12 and line not in shown]
    assert len(secret) > 30
    lines = {line.strip() for cell in json.loads(released)["cells"] for line in cell["source"]}
    assert not lines.intersection(secret)
    assert "BEGIN SOLUTION" not in released and "BEGIN HIDDEN" not in released
    assert answers <= released.count(CODE_STUB[1]) <= answers + 1  # and the text that explains it
