"""Exercises of chapter 12: solutions pass, each realistic wrong answer gets a hint of its own."""

from __future__ import annotations

import re
import runpy
import time
from pathlib import Path

import pytest
import torch

from wmlearn.teach import CheckFailed, check
from wmlearn.teach.checks import EXERCISES
from wmlearn.teach.releasing import CODE_STUB, read_notebook, render, student_version

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "notebooks/exercises/12_vjepa2_ac.ipynb"
NAMES = {
    "12.1": ("interleave", "frame_mask"),
    "12.2": ("losses",),
    "12.3": ("cem",),
    "12.4": ("choose",),
    "12.5": ("experiment",),
}
NUMBERS = sorted(NAMES)


def graded(notebook: dict) -> list[str]:
    cells = notebook["cells"]
    return [
        cell["source"]
        for cell in cells
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade")
    ]


def run_without_tests(notebook: dict) -> dict:
    """The names that the notebook's code cells define; graded cells are left out."""
    names: dict = {"__name__": "notebook"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["source"] not in graded(notebook):
            exec(cell["source"].replace("\nshow()", ""), names)
    return names


def wrong_answers(number: str) -> list[tuple]:
    path = ROOT / "tests/wrong_answers" / f"{number.replace('.', '_')}.py"
    return runpy.run_path(str(path))["WRONG"]


def hint_of(number: str, *answers: object) -> str:
    with pytest.raises(CheckFailed) as caught:
        check(number, *answers)
    return caught.value.hint


@pytest.fixture(scope="module")
def solved() -> dict:
    return run_without_tests(read_notebook(SOURCE))


def hidden_tests(number: str) -> str:
    [cell] = [text for text in graded(read_notebook(SOURCE)) if f'check("{number}"' in text]
    [hidden] = re.findall(r"### BEGIN HIDDEN TESTS\n(.*)### END HIDDEN TESTS", cell, re.S)
    return hidden


def test_every_exercise_is_registered_and_in_the_notebook():
    assert sorted(number for number in EXERCISES if number.startswith("12.")) == NUMBERS
    calls = [re.match(r'check\("(.+?)", (.+)\)', t) for t in graded(read_notebook(SOURCE))]
    assert [call.groups() for call in calls] == [(n, ", ".join(NAMES[n])) for n in NUMBERS]


def test_each_exercise_states_difficulty_minutes_points_and_what_it_teaches():
    notebook = read_notebook(SOURCE)
    texts = [cell["source"] for cell in notebook["cells"] if cell["source"].startswith("## Ex")]
    assert len(texts) == len(NUMBERS)
    stated = 0
    for text in texts:
        assert re.search(r"Difficulty \d of 5, \d+ minutes, [\d +]+ points?\. It teaches", text)
        stated += sum(map(int, re.search(r"minutes, ([\d +]+) points?", text)[1].split("+")))
    meta = [cell["metadata"].get("nbgrader", {}) for cell in notebook["cells"]]
    assert stated == sum(m["points"] for m in meta if m.get("grade"))


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_passes_visible_and_hidden_tests_in_time(number, solved):
    start = time.process_time()
    check(number, *(solved[name] for name in NAMES[number]))
    exec(hidden_tests(number), dict(solved))
    assert time.process_time() - start < 30


@pytest.mark.parametrize("number", NUMBERS)
def test_every_wrong_answer_fails_with_a_hint_of_its_own(number):
    wrong = wrong_answers(number)
    assert len(wrong) >= 3
    hints = {name: hint_of(number, *answers) for name, answers, _ in wrong}
    for name, _, fragment in wrong:
        assert [other for other, hint in hints.items() if fragment in hint] == [name]


@pytest.mark.parametrize("number", NUMBERS)
def test_hidden_tests_alone_refuse_the_wrong_answers(number, solved):
    for name, answers, _ in wrong_answers(number):
        submitted = {**solved, **dict(zip(NAMES[number], answers, strict=True))}
        with pytest.raises((AssertionError, RuntimeError, IndexError, TypeError, ValueError)):
            exec(hidden_tests(number), submitted)
            pytest.fail(f"{number}: the hidden tests accept {name}", pytrace=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_gets_a_friendly_hint(number):
    stubs = run_without_tests(student_version(read_notebook(SOURCE)))
    assert "is not written yet" in hint_of(number, *(stubs[name] for name in NAMES[number]))


def test_the_broken_planner_is_refused(solved):
    assert "thrown away" in hint_of("12.4", solved["broken_choose"])


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "answer",
    [
        lambda *args: None,
        lambda *args: 0.0,
        lambda *args: torch.zeros(3),
        lambda *args: args[0],
        lambda *args: args,
        lambda *args: (torch.full((2, 2), torch.nan),) * 2,
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
    assert released.count(CODE_STUB[1]) == 7  # six functions, and the text that explains it


class TestAgreementWithTheLibrary:
    """The solutions are the library's own functions, written differently."""

    def test_mask(self, solved):
        from wmlearn.systems.vjepa2_ac.predictor import block_causal_mask

        assert torch.equal(solved["frame_mask"](4, 6), block_causal_mask(4, 6))

    def test_losses(self, solved):
        from dataclasses import replace

        from wmlearn.data.clip import Clip
        from wmlearn.systems.vjepa2_ac import VJEPA2AC
        from wmlearn.systems.vjepa2_ac.recipe import SMOKE

        zeros, ones, draw = (0.0,) * 3, (1.0,) * 3, torch.Generator().manual_seed(0)
        config = replace(
            SMOKE, low=(-1.0,) * 3, high=ones, state_mean=zeros, state_std=ones,
            state_per_action=((0.0,) * 3,) * 3, rollout_steps=3, inverse_weight=0.0,
        )  # fmt: skip
        system = VJEPA2AC(config)
        side = config.encoder.image_size
        clip = Clip(
            torch.randint(0, 256, (2, 4, 3, side, side), generator=draw).to(torch.uint8),
            actions=torch.randn(2, 3, 3, generator=draw),
            state=torch.randn(2, 4, 3, generator=draw),
        )
        z = system.encode(clip.frames)
        mine = solved["losses"](system.predict, z, clip.actions, clip.state, 3)
        theirs = system.losses(clip)
        torch.testing.assert_close(mine[0], theirs["teacher_forcing"])
        torch.testing.assert_close(mine[1], theirs["rollout"])
