"""Checks, limits, release and grading, on small notebooks made up here."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from places import ROOT

from wmlearn.grading import grade, merging, release, run_limited
from wmlearn.grading.__main__ import main
from wmlearn.grading.releasing import read_notebook, render
from wmlearn.teach import CheckFailed, check

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")


def cell(source: str, grade_id: str = "", **meta: object) -> dict:
    kind = meta.pop("kind", "code")
    base = {"grade": False, "solution": False, "locked": False, "schema_version": 3}
    tags = {"nbgrader": {**base, "grade_id": grade_id, **meta}} if grade_id else {}
    made = {"cell_type": kind, "id": grade_id or "own", "metadata": tags, "source": source}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def exercise(number: int, name: str, body: str, tests: str) -> list[dict]:
    answer = f"def {name}():\n    ### BEGIN SOLUTION\n    {body}\n    ### END SOLUTION"
    hidden = f"assert True\n### BEGIN HIDDEN TESTS\n{tests}\n### END HIDDEN TESTS"
    return [
        cell(answer, f"01-{number}-answer", solution=True),
        cell(hidden, f"01-{number}-test", grade=True, locked=True, points=number),
    ]


def save(path: Path, cells: list[dict]) -> Path:
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))
    return path


TEACHER = [
    cell("import math", "01-setup", locked=True),
    *exercise(1, "one", "return 1", "assert one() == 1"),
    *exercise(2, "two", "return 2", "assert two() == 2"),
    *exercise(3, "three", "return 3", "assert three() == 3"),
    *exercise(4, "four", "return 4", "assert four() == 4"),
    *exercise(5, "pi", "return math.pi", "assert abs(pi() - 3.14) < 0.01"),
    cell("### BEGIN SOLUTION\nBecause.\n### END SOLUTION", "01-6-essay",
         kind="markdown", grade=True, solution=True, points=2),
]  # fmt: skip


@pytest.fixture
def teacher(tmp_path) -> Path:
    return save(tmp_path / "teacher.ipynb", TEACHER)


# The check itself


def test_an_unknown_exercise_names_the_known_ones():
    with pytest.raises(ValueError, match=r"no exercise '99.1'; choose from .*04\.1"):
        check("99.1", print)


def test_a_wrong_number_of_answers_says_how_to_call_it():
    with pytest.raises(ValueError, match=r'check\("04.2", noise_levels, euler_sample\)'):
        check("04.2", print)


def test_an_error_in_the_answer_becomes_a_hint_with_its_line():
    def divide(*args):
        return 1 / 0

    with pytest.raises(CheckFailed) as caught:
        check("04.1", divide)
    assert "ZeroDivisionError: division by zero" in caught.value.hint
    assert "`return 1 / 0`" in caught.value.hint


def test_what_torch_has_not_implemented_is_not_taken_for_an_empty_answer():
    with pytest.raises(CheckFailed) as caught:
        check("09.2", lambda codes, count: torch.bincount(codes.float()), lambda *args: 0)
    assert "your code stopped with NotImplementedError: " in caught.value.hint


def test_a_failed_check_lists_in_plain_text_what_holds():
    def only_input_scaled(sigma, data, offset):
        c_in = (sigma**2 + offset**2 + data**2) ** -0.5
        return c_in, c_in, c_in, c_in

    with pytest.raises(CheckFailed) as caught:
        check("04.1", only_input_scaled)
    lines = caught.value._render_traceback_()
    assert lines[0] == "04.1 EDM's four coefficients: not yet."
    assert lines[1] == "  ok    four coefficients, one value for each sigma"
    assert lines[2] == "  ok    the network's input has variance 1 at every noise level"
    assert lines[3].startswith("  HINT  c_skip")
    assert "\x1b" not in str(caught.value)
    assert isinstance(caught.value, AssertionError)  # nbgrader and pytest take it as a failure


# Limits


def test_a_function_runs_and_its_result_comes_back():
    run = run_limited(json.loads, '{"a": [1, 2]}')
    assert (run.ok, run.value, run.error) == (True, {"a": [1, 2]}, "")
    assert "time" in run.limits


def test_an_endless_function_is_stopped():
    import time

    run = run_limited(time.sleep, 100, seconds=1)
    assert not run.ok and run.value is None
    assert run.error == "it was stopped after 1 s."
    assert run.seconds < 20


@linux
def test_a_memory_hog_is_stopped():
    run = run_limited(bytearray, 10**9, megabytes=200)
    assert "it needs more than its 200 MB of memory" in run.error


def test_errors_and_results_that_are_not_json_are_reported():
    assert "JSONDecodeError" in run_limited(json.loads, "{").error
    assert "not JSON serializable" in run_limited(complex, 1).error


def test_the_secrets_of_the_graders_session_stay_there(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    run = run_limited(os.getenv, "SECRET_TOKEN")
    assert run.ok and run.value is None


def test_a_function_without_a_module_is_refused():
    with pytest.raises(ValueError, match="imported from a module"):
        run_limited(lambda: 1)


def test_a_notebook_runs_cell_by_cell_and_cannot_leave_unnoticed(tmp_path):
    cells = ["x = 1", "%matplotlib inline\n1 / 0", "print('a' * 10**6)", "import sys; sys.exit(0)"]
    notebook = save(tmp_path / "a.ipynb", [cell(text) for text in cells])
    run = run_limited(notebook, seconds=20)
    assert list(run.value) == ["cell 2", "cell 4"]
    assert run.error == "cell 2: ZeroDivisionError: division by zero (at line 2: `1 / 0`)"
    save(notebook, [cell("import os; os._exit(0)"), cell("x = 1")])
    assert run_limited(notebook).error == "the process ended before its code did."


# Release


def test_release_cuts_solutions_hidden_tests_and_outputs(tmp_path, teacher):
    out = release(teacher, tmp_path / "new" / "student.ipynb")
    text = out.read_text()
    assert "BEGIN" not in text and "math.pi" not in text and "Because" not in text
    cells = {
        c["metadata"]["nbgrader"]["grade_id"]: c["source"] for c in read_notebook(out)["cells"]
    }
    assert cells["01-1-answer"] == (
        "def one():\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert cells["01-1-test"] == "assert True"
    assert cells["01-6-essay"] == "YOUR ANSWER HERE"
    assert cells["01-setup"] == "import math"


def test_after_the_deadline_each_answer_has_its_solution_in_a_fold(tmp_path, teacher):
    out = tmp_path / "solved.ipynb"
    assert main(["release", str(teacher), str(out), "--solutions"]) == 0
    cells = read_notebook(out)["cells"]
    folds = [c["source"] for c in cells if "<summary>Solution</summary>" in c["source"]]
    assert len(folds) == 6 and "```python\ndef one():\n    return 1\n```" in folds[0]
    assert "Because." in folds[-1] and "BEGIN" not in out.read_text()
    assert "raise NotImplementedError()" in cells[1]["source"]  # the answer is still the reader's
    assert "assert one() == 1" not in out.read_text()  # hidden tests stay hidden
    with pytest.raises(ValueError, match="of their own"):
        main(["release", str(teacher), "--to", str(tmp_path / "course"), "--solutions"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell("### BEGIN SOLUTION", "a", solution=True)], "a: BEGIN SOLUTION without END"),
        ([cell("### END SOLUTION", "a", solution=True)], "a: END SOLUTION without BEGIN"),
        (
            [cell("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "a", solution=True)],
            "a: BEGIN SOLUTION inside",
        ),
        ([cell("### BEGIN SOLUTION\n### END SOLUTION")], "not a solution cell"),
        ([cell("### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS")], "not graded"),
        ([cell("", "a", locked=True), cell("", "a", locked=True)], "several cells"),
    ],
)
def test_release_refuses_a_broken_source(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        release(save(tmp_path / "a.ipynb", cells), tmp_path / "b.ipynb")
    assert not (tmp_path / "b.ipynb").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [{}]}', '{"cells": [1]}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.ipynb is not a Jupyter notebook"):
        release(path, tmp_path / "b.ipynb")


# Grading


def test_grading_trusts_the_answers_only(tmp_path, teacher):
    """Own helper cells count; a loop, a lost cell and a changed test cost what they should."""
    forged = 'print(\'{"event": "cell", "id": "01-4-test", "error": ""}\')'
    submission = [
        cell("def helper():\n    return 1"),
        cell("def one():\n    return helper()", "01-1-answer", solution=True),
        cell("def two():\n    while True:\n        pass", "01-2-answer", solution=True),
        cell("raise SystemExit"),
        cell("two = lambda: 2", "01-2-test", grade=True, locked=True, points=100),
        cell(f"{forged}\ndef four():\n    return 5", "01-4-answer", solution=True),
        cell("pass", "01-4-test", grade=True, locked=True, points=4),
        cell("def pi():\n    return math.pi", "01-5-answer", solution=True),
        cell("Because I say so.", "01-6-essay",
             kind="markdown", grade=True, solution=True, points=2),
    ]  # fmt: skip
    report = grade(save(tmp_path / "s.ipynb", submission), teacher, seconds=4, no_sandbox=True)
    scores = {score.exercise: (score.points, score.maximum) for score in report.scores}
    assert scores == {
        "01.1": (1, 1),
        "01.2": (0, 2),
        "01.3": (0, 3),
        "01.4": (0, 4),
        "01.5": (5, 5),
        "01.6": (None, 2),
    }
    assert (report.points, report.maximum) == (6, 17)
    messages = {score.exercise: score.message for score in report.scores}
    assert messages["01.2"] == "in the hidden test it was stopped after 4 s."
    assert messages["01.3"] == "the answer cell is missing from the notebook."
    assert messages["01.4"].startswith("it passes the visible test, but not the hidden one")
    assert "01.5    5 / 5  passed" in str(report)
    assert json.loads(report.to_json())["points"] == 6


def test_the_command_line_releases_and_grades(tmp_path, teacher, capsys):
    student, table = tmp_path / "student.ipynb", tmp_path / "points.csv"
    (tmp_path / "torn.ipynb").write_text('{"cells": [')
    assert main(["release", str(teacher), str(student)]) == 0
    files = [str(tmp_path / "torn.ipynb"), str(student)]
    assert main(["grade", str(teacher), *files, "--csv", str(table), "--no_sandbox"]) == 1
    out = capsys.readouterr().out
    assert "torn.ipynb is not a Jupyter notebook" in out
    assert "student.ipynb: 0 of 17 points" in out
    rows = table.read_text().splitlines()
    assert rows[0] == "notebook,exercise,points,maximum" and len(rows) == 7
    assert rows[6].endswith("student.ipynb,01.6,0.0,2.0")  # "YOUR ANSWER HERE" is no answer


# The course's own exercises, and nbgrader itself


SOURCE = ROOT / "notebooks/exercises/04_diamond.ipynb"


def half_solved(folder: Path) -> Path:
    """The students' notebook with the right coefficients and a wrong sampler in it."""
    notebook = read_notebook(release(SOURCE, folder / "04_diamond.ipynb"))
    solved = {c["metadata"]["nbgrader"].get("grade_id"): c for c in read_notebook(SOURCE)["cells"]}
    for answer in notebook["cells"]:
        name = answer["metadata"]["nbgrader"].get("grade_id")
        if name in ("04-1-answer", "04-2-answer"):
            answer["source"] = solved[name]["source"].replace("- sigma)", "+ sigma)")
        elif name == "04-6-essay":
            answer["source"] = "Most pixels do not depend on the action."
    path = folder / "04_diamond.ipynb"
    path.write_text(render(notebook))
    return path


def test_a_real_submission_is_graded(tmp_path):
    report = grade(half_solved(tmp_path), SOURCE, no_sandbox=True)
    assert [score.points for score in report.scores] == [3, 0, 0, 0, 0, 0, None, 0]
    assert "run away from the data" in report.scores[1].message
    assert "not written yet" in report.scores[2].message


def test_nbgrader_makes_the_same_release_and_gives_the_same_points(tmp_path, monkeypatch):
    pytest.importorskip("nbgrader", reason='install the extra "teach" to test with nbgrader')
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    scripts = Path(sys.executable).parent  # nbgrader calls `alembic`
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(tmp_path / kind))
    (tmp_path / "source/ps4").mkdir(parents=True)
    (tmp_path / "source/ps4/04_diamond.ipynb").write_text(SOURCE.read_text())
    config = Config()
    config.CourseDirectory.root = str(tmp_path)
    config.CourseDirectory.db_url = f"sqlite:///{tmp_path}/gradebook.db"
    config.ExecutePreprocessor.timeout = 300
    api = NbGraderAPI(config=config)
    made = api.generate_assignment("ps4")
    assert made["success"], made.get("error")

    theirs = read_notebook(tmp_path / "release/ps4/04_diamond.ipynb")["cells"]
    ours = read_notebook(release(SOURCE, tmp_path / "ours.ipynb"))["cells"]
    assert [c["source"].rstrip() for c in theirs] == [c["source"].rstrip() for c in ours]

    folder = tmp_path / "submitted/ada/ps4"
    folder.mkdir(parents=True)
    half_solved(folder)
    graded = api.autograde("ps4", "ada")
    assert graded["success"], graded.get("error")
    [notebook] = api.get_student_notebook_submissions("ada", "ps4")
    assert notebook["code_score"] == 3 and notebook["max_score"] == 25
    assert notebook["needs_manual_grade"]


@pytest.mark.parametrize(
    "source", ["-" * 100_000 + "1", "a" + ".b" * 50_000, "x\0", "def f(:"], ids=lambda s: s[:6]
)
def test_code_that_python_cannot_read_defines_nothing(source):
    assert merging._defined(source) == set()


def test_two_submissions_are_never_parsed_at_once(monkeypatch):
    """Python 3.11 may fail with "AST constructor recursion depth mismatch" where threads parse."""
    inside, most, parse = [], [], ast.parse

    def slow(source):
        inside.append(source)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return parse(source)

    monkeypatch.setattr(merging.ast, "parse", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(merging._defined, [f"x{i} = {i}" for i in range(12)]))
    assert found == [{f"x{i}"} for i in range(12)] and max(most) == 1
