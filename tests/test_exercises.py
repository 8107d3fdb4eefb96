"""Every exercise: the solution passes, each realistic wrong answer fails with a hint of its own."""

from __future__ import annotations

import json
import re
import runpy
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wmlearn.teach import CheckFailed, check
from wmlearn.teach.checks import EXERCISES
from wmlearn.teach.releasing import CODE_STUB, read_notebook, render, student_version

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "notebooks/exercises/04_diamond.ipynb"
NUMBERS = ["04.1", "04.2", "04.3", "04.4", "04.5", "04.6"]
NAMES = {
    "04.1": ("coefficients",),
    "04.2": ("noise_levels", "euler_sample"),
    "04.3": ("lambda_returns",),
    "04.4": ("loss",),
    "04.5": ("experiment",),
    "04.6": ("choose",),
}


def code_cells(notebook: dict) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(source=cell["source"], **{"solution": False, "grade": False, **meta})
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for meta in [cell["metadata"]["nbgrader"]]
    ]


def run_without_tests(notebook: dict) -> dict:
    """The names that the notebook's code cells define; graded cells are left out."""
    names: dict = {"__name__": "notebook"}
    for cell in code_cells(notebook):
        if cell.grade or "show()" in cell.source:
            continue
        exec(cell.source, names)
    return names


def hidden_tests(number: str) -> str:
    [cell] = [
        cell
        for cell in code_cells(read_notebook(SOURCE))
        if cell.grade and f'check("{number}"' in cell.source
    ]
    [hidden] = re.findall(r"### BEGIN HIDDEN TESTS\n(.*)### END HIDDEN TESTS", cell.source, re.S)
    return hidden


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


def test_every_exercise_is_registered_and_in_the_notebook():
    tests = [cell.source for cell in code_cells(read_notebook(SOURCE)) if cell.grade]
    assert sorted(number for number in EXERCISES if number.startswith("04")) == NUMBERS
    assert [re.match(r'check\("(.+?)", (.+)\)', text).groups() for text in tests] == [
        (number, ", ".join(NAMES[number])) for number in NUMBERS
    ]


def test_each_exercise_states_difficulty_minutes_points_and_what_it_teaches():
    notebook = read_notebook(SOURCE)
    texts = [cell["source"] for cell in notebook["cells"] if cell["source"].startswith("## Ex")]
    assert len(texts) == len(NUMBERS)
    stated = 0
    for text in texts:
        assert re.search(r"Difficulty \d of 5, \d+ minutes, [\d +]+ points?\. It teaches", text)
        points = re.search(r"minutes, ([\d +]+) points?", text)[1]
        stated += sum(map(int, points.split("+")))
    graded = [cell["metadata"]["nbgrader"] for cell in notebook["cells"]]
    assert stated == sum(meta["points"] for meta in graded if meta.get("grade"))


def test_code_lines_are_short():
    lines = [line for cell in code_cells(read_notebook(SOURCE)) for line in cell.source.split("\n")]
    assert max(map(len, lines)) < 90


@pytest.mark.parametrize("number", NUMBERS)
def test_the_solution_passes_visible_and_hidden_tests_in_time(number, solved, capsys):
    start = time.process_time()
    check(number, *(solved[name] for name in NAMES[number]))
    exec(hidden_tests(number), dict(solved))
    assert time.process_time() - start < 30
    assert capsys.readouterr().out.startswith(f"{number} ")


@pytest.mark.parametrize("number", NUMBERS)
def test_every_wrong_answer_fails_with_a_hint_of_its_own(number):
    wrong = wrong_answers(number)
    assert len(wrong) >= 3
    hints = {name: hint_of(number, *answers) for name, answers, _ in wrong}
    for name, _, fragment in wrong:
        assert [other for other, hint in hints.items() if fragment in hint] == [name]


@pytest.mark.parametrize("number", NUMBERS)
def test_hidden_tests_alone_refuse_the_wrong_answers(number, solved):
    tidy = {"heun", "in_place"}  # right in value; only the visible check minds how they work
    for name, answers, _ in wrong_answers(number):
        if name in tidy:
            continue
        submitted = {**solved, **dict(zip(NAMES[number], answers, strict=True))}
        with pytest.raises((AssertionError, RuntimeError, IndexError)):
            exec(hidden_tests(number), submitted)
            pytest.fail(f"{number}: the hidden tests accept {name}", pytrace=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_stub_gets_a_friendly_hint(number):
    stubs = run_without_tests(student_version(read_notebook(SOURCE)))
    assert "is not written yet" in hint_of(number, *(stubs[name] for name in NAMES[number]))


def test_the_broken_loss_is_refused(solved):
    assert "a future frame leaks" in hint_of("04.4", solved["broken_loss"])


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
    assert hint_of(number, *[answer] * len(NAMES[number]))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_result_in_place_of_the_function_gets_a_hint(number):
    assert "without calling it" in hint_of(number, *[torch.zeros(3)] * len(NAMES[number]))


def test_the_released_notebook_is_up_to_date():
    released = SOURCE.parent / "release" / SOURCE.name
    assert released.read_text(encoding="utf-8") == render(student_version(read_notebook(SOURCE))), (
        f"run: wmlearn teach release {SOURCE.relative_to(ROOT)} {released.relative_to(ROOT)}"
    )


def test_the_released_notebook_holds_no_solutions_and_no_hidden_tests():
    released = (SOURCE.parent / "release" / SOURCE.name).read_text(encoding="utf-8")
    source = [cell["source"] for cell in read_notebook(SOURCE)["cells"]]
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
    assert len(secret) > 60
    lines = {line.strip() for cell in json.loads(released)["cells"] for line in cell["source"]}
    assert not lines.intersection(secret)
    assert "BEGIN" not in released and "_draw" not in released
    assert released.count(CODE_STUB[1]) == 8  # seven functions, and the text that explains it


def test_the_pair_agrees():
    jupytext = pytest.importorskip("jupytext")
    compare = pytest.importorskip("jupytext.compare")
    compare.compare_notebooks(
        jupytext.read(SOURCE.with_suffix(".py")),
        jupytext.read(SOURCE),
        fmt="py:percent",
        compare_outputs=False,
        compare_ids=False,
    )


class TestAgreementWithTheLibrary:
    """The solutions are the library's own functions, written differently."""

    def test_coefficients(self, solved):
        from wmlearn.systems.diamond.config import DenoiserConfig
        from wmlearn.systems.diamond.denoiser import Denoiser

        config = DenoiserConfig(channels=(32,), depths=(1,), attention=(False,), cond_channels=16)
        sigma = torch.tensor([0.002, 0.4, 3.0, 20.0])
        ours = solved["coefficients"](sigma, config.sigma_data, config.sigma_offset_noise)
        library = Denoiser(config).precondition(sigma)
        for mine, theirs in zip(ours, library, strict=True):
            torch.testing.assert_close(mine, theirs.flatten())

    def test_sampler(self, solved):
        from wmlearn.systems.diamond.config import SamplerConfig
        from wmlearn.systems.diamond.sampler import noise_levels, sample

        config = SamplerConfig(num_steps=5)
        levels = solved["noise_levels"](5)
        torch.testing.assert_close(levels, noise_levels(config))
        toy = solved["TwoFutures"](0.7)
        noise = torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
        ours = solved["euler_sample"](
            lambda x, sigma: toy.denoise(x, sigma.expand(len(x)), None, None), noise, levels
        )
        torch.testing.assert_close(ours, sample(toy, None, None, noise, config))

    def test_lambda_returns(self, solved):
        from wmlearn.agents.returns import lambda_returns

        generator = torch.Generator().manual_seed(0)
        rewards, values = torch.randn(2, 4, 15, generator=generator)
        ended = torch.rand(4, 15, generator=generator) < 0.2
        never = torch.zeros_like(ended)  # in imagination only the horizon cuts
        torch.testing.assert_close(
            solved["lambda_returns"](rewards, values, ended, never, 0.985, 0.95),
            lambda_returns(rewards, values, ended, 0.985, 0.95),
        )
