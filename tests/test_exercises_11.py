"""Chapter 11's exercises: solutions pass, each wrong answer fails with a hint of its own."""

from __future__ import annotations

import re
import runpy
import time

import pytest
import torch
from test_exercises import ROOT, code_cells, hint_of, run_without_tests

from wmlearn.teach import check
from wmlearn.teach.checks import EXERCISES
from wmlearn.teach.releasing import CODE_STUB, read_notebook, render, student_version

SOURCE = ROOT / "notebooks/exercises/11_vjepa.ipynb"
NAMES = {
    "11.1": ("rotary_angles", "turn"),
    "11.2": ("tube_mask",),
    "11.3": ("feature_std", "effective_rank"),
    "11.4": ("loss", "follow"),
    "11.5": ("experiment",),
}
NUMBERS = list(NAMES)


def hidden_tests(number: str) -> str:
    [cell] = [
        cell
        for cell in code_cells(read_notebook(SOURCE))
        if cell.grade and f'check("{number}"' in cell.source
    ]
    [hidden] = re.findall(r"### BEGIN HIDDEN TESTS\n(.*)### END HIDDEN TESTS", cell.source, re.S)
    return hidden


def wrong_answers(number: str) -> dict:
    """``WRONG``, and ``VISIBLE_ONLY``: right in value, so only the visible check minds them."""
    path = ROOT / "tests/wrong_answers" / f"{number.replace('.', '_')}.py"
    return {"VISIBLE_ONLY": set(), **runpy.run_path(str(path))}


@pytest.fixture(scope="module")
def solved() -> dict:
    return run_without_tests(read_notebook(SOURCE))


def test_every_exercise_is_registered_and_in_the_notebook():
    tests = [cell.source for cell in code_cells(read_notebook(SOURCE)) if cell.grade]
    assert sorted(number for number in EXERCISES if number.startswith("11")) == NUMBERS
    assert [re.match(r'check\("(.+?)", (.+)\)', text).groups() for text in tests] == [
        (number, ", ".join(NAMES[number])) for number in NUMBERS
    ]


def test_each_exercise_states_difficulty_minutes_points_and_what_it_teaches():
    notebook = read_notebook(SOURCE)
    texts = [cell["source"] for cell in notebook["cells"] if cell["source"].startswith("## Ex")]
    stated = 0
    for text in texts:
        assert re.search(r"Difficulty \d of 5, \d+ minutes, [\d +]+ points?\. It teaches", text)
        points = re.search(r"minutes, ([\d +]+) points?", text)[1]
        stated += sum(map(int, points.split("+")))
    graded = [cell["metadata"]["nbgrader"] for cell in notebook["cells"]]
    assert len(texts) == len(NUMBERS)
    assert stated == sum(meta["points"] for meta in graded if meta.get("grade"))


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_passes_visible_and_hidden_tests_in_time(number, solved, capsys):
    start = time.process_time()
    check(number, *(solved[name] for name in NAMES[number]))
    exec(hidden_tests(number), dict(solved))
    assert time.process_time() - start < 30
    assert capsys.readouterr().out.startswith(f"{number} ")


@pytest.mark.parametrize("number", NUMBERS)
def test_every_wrong_answer_fails_with_a_hint_of_its_own(number):
    wrong = wrong_answers(number)["WRONG"]
    hints = {name: hint_of(number, *answers) for name, answers, _ in wrong}
    for name, _, fragment in wrong:
        assert [other for other, hint in hints.items() if fragment in hint] == [name], hints[name]


@pytest.mark.parametrize("number", NUMBERS)
def test_hidden_tests_alone_refuse_the_wrong_answers(number, solved):
    kept = wrong_answers(number)
    for name, answers, _ in kept["WRONG"]:
        if name in kept["VISIBLE_ONLY"]:
            continue
        submitted = {**solved, **dict(zip(NAMES[number], answers, strict=True))}
        with pytest.raises((AssertionError, RuntimeError, IndexError, TypeError)):
            exec(hidden_tests(number), submitted)
            pytest.fail(f"{number}: the hidden tests accept {name}", pytrace=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_gets_a_friendly_hint(number):
    stubs = run_without_tests(student_version(read_notebook(SOURCE)))
    assert "is not written yet" in hint_of(number, *(stubs[name] for name in NAMES[number]))


def test_the_broken_loss_and_average_are_refused(solved):
    assert "the mask leaks" in hint_of("11.4", solved["broken_loss"], solved["broken_follow"])
    assert "wrong way round" in hint_of("11.4", solved["loss"], solved["broken_follow"])


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
        lambda *args: (torch.zeros(5),) * 2,
        lambda *args: (torch.full((4, 3), torch.nan),) * 2,
        lambda *args: "text",
        lambda: 1,
    ],
)
def test_nonsense_never_passes(number, answer):
    assert hint_of(number, *[answer] * len(NAMES[number]))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_result_in_place_of_the_function_gets_a_hint(number):
    assert "without calling it" in hint_of(number, *[torch.zeros(3)] * len(NAMES[number]))


def test_the_released_notebook_is_up_to_date_and_holds_no_solutions():
    released = (SOURCE.parent / "release" / SOURCE.name).read_text(encoding="utf-8")
    assert released == render(student_version(read_notebook(SOURCE)))
    assert "BEGIN" not in released and "_draw" not in released
    assert released.count(CODE_STUB[1]) == 9  # eight functions, and the text that explains it


class TestAgreementWithTheLibrary:
    """The solutions are the library's own functions, written differently."""

    def test_rotary_positions(self, solved):
        from wmlearn.systems.vjepa.rope import grid_positions, rope_table, rotate

        positions = grid_positions((2, 3, 4))
        x = torch.randn(24, 7, generator=torch.Generator().manual_seed(0))
        ours = solved["turn"](x[:, :6], solved["rotary_angles"](positions, 6))
        # with one pair an axis, the textbook's and the published order of speeds are the same
        theirs = rotate(x[None, :, :6], rope_table(positions, 6))[0]
        torch.testing.assert_close(ours, theirs)

    def test_gauges(self, solved):
        from wmlearn.systems.vjepa.collapse import effective_rank, feature_std

        x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)) @ torch.randn(8, 8)
        torch.testing.assert_close(solved["feature_std"](x), feature_std(x))
        torch.testing.assert_close(solved["effective_rank"](x), effective_rank(x))
