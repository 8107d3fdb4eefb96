"""Every exercise: right answers pass in all styles, each realistic wrong one fails with its hint.

The visible check and the hidden test say the same of every answer.
"""

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

from wmlearn.grading.releasing import (
    CODE_STUB,
    read_notebook,
    render,
    split_hidden,
    student_version,
)
from wmlearn.teach import CheckFailed, check
from wmlearn.teach.answers import as_default
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
    for number, answers in CHECK.findall(split_hidden(cell.source)[0])
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
def solved(source: Path, dtype: torch.dtype = torch.float32) -> dict:
    with as_default(dtype):
        return run_without_tests(read_notebook(source))


def solutions(number: str) -> list:
    source, names = CALLS[number]
    return [solved(source)[name] for name in names]


def hidden_tests(number: str) -> str:
    [cell] = [cell for cell in graded_cells(CALLS[number][0]) if f'check("{number}"' in cell.source]
    return split_hidden(cell.source)[1]


@cache
def kept(number: str) -> dict:
    """``WRONG``, ``RIGHT`` and, wrong too but with a hint that another has, ``ALSO``."""
    path = ROOT / "tests/exercises" / f"{number.replace('.', '_')}.py"
    return {"ALSO": [], **runpy.run_path(str(path))}


def hidden_hint(number: str, answers: tuple) -> str:
    """What the hidden test alone says; empty if it accepts the answers."""
    source, names = CALLS[number]
    submitted = {**solved(source), **dict(zip(names, answers, strict=True))}
    try:
        exec(hidden_tests(number), submitted)
    except CheckFailed as failed:
        return failed.hint
    return ""


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
    cells = [split_hidden(cell.source) for cell in graded_cells(source)]
    assert 4 <= len(cells) <= 8
    for visible, hidden in cells:
        [(number, answers)] = CHECK.findall(visible)
        # the same check with another seed: so both say the same of every answer
        assert re.fullmatch(rf'check\("{number}", {answers}, seed=[1-9]\d*\)', hidden.strip())


@by_chapter
def test_each_exercise_states_difficulty_minutes_points_and_what_it_teaches(source):
    notebook = read_notebook(source)
    texts = [cell["source"] for cell in notebook["cells"] if cell["source"].startswith("## Ex")]
    assert len(texts) == sum(1 for at, _ in CALLS.values() if at == source)
    stated = 0
    for text in texts:
        assert re.search(
            r"Difficulty \d of 5, importance \d of 5, \d+ minutes, [\d +]+ points?\. It teaches",
            " ".join(text.split()),
        )
        assert text.count("<summary>Help</summary>") == text.count("</details>") == 1
        points = re.search(r"minutes,\s+([\d +]+)\s+points?", text)[1]
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


@by_chapter
def test_some_are_warm_ups_and_the_last_one_changes_the_problem(source):
    texts = [cell["source"] for cell in read_notebook(source)["cells"]]
    texts = [text for text in texts if text.startswith("## Ex")]
    assert [text for text in texts if "*Warm-up: " in text]
    assert ["*Change the problem: " in text for text in texts] == [False] * (len(texts) - 1) + [
        True
    ]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_wrong_answer_fails_with_a_hint_of_its_own(number):
    wrong, also = kept(number)["WRONG"], kept(number)["ALSO"]
    assert len(wrong) >= 3
    hints = {name: hint_of(number, *answers) for name, answers, _ in wrong}
    for name, _, fragment in wrong:
        assert [other for other, hint in hints.items() if fragment in hint] == [name]
    for _, answers, fragment in also:
        assert fragment in hint_of(number, *answers)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_hidden_test_refuses_the_same_wrong_answers(number):
    for name, answers, _ in [*kept(number)["WRONG"], *kept(number)["ALSO"]]:
        assert hidden_hint(number, answers), f"{number}: the hidden test accepts {name}"


@pytest.mark.parametrize("number", NUMBERS)
def test_right_answers_in_other_styles_pass_both(number):
    assert kept(number)["RIGHT"]
    for name, answers in kept(number)["RIGHT"]:
        check(number, *answers)
        assert hidden_hint(number, answers) == "", name


@pytest.mark.parametrize("number", NUMBERS)
def test_verdicts_are_the_same_where_float64_is_the_default(number):
    source, names = CALLS[number]
    mine = [solved(source, torch.float64)[name] for name in names]
    with as_default(torch.float64):
        for name, answers in [("solution", mine), *kept(number)["RIGHT"]]:
            check(number, *answers)
            assert hidden_hint(number, tuple(answers)) == "", name
        for name, answers, fragment in [*kept(number)["WRONG"], *kept(number)["ALSO"]]:
            assert fragment in hint_of(number, *answers), name
        assert torch.get_default_dtype() == torch.float64


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("seed", [1, 2, 3, 2**31 - 1])
def test_the_solution_passes_whatever_the_seed(number, seed):
    check(number, *solutions(number), seed=seed)


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
    assert len(secret) > 25
    lines = {line.strip() for cell in json.loads(released)["cells"] for line in cell["source"]}
    assert not lines.intersection(secret)
    assert "BEGIN SOLUTION" not in released and "BEGIN HIDDEN" not in released
    assert answers <= released.count(CODE_STUB[1]) <= answers + 1  # and the text that explains it
