"""A course from an empty folder: release, collect, grade, feedback, export, and two other ways."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from places import ROOT

from wmlearn.grading import grade, sandbox
from wmlearn.grading.__main__ import main
from wmlearn.grading.course import Course, find_exercise
from wmlearn.grading.merging import hidden_lines
from wmlearn.grading.releasing import read_notebook, render, stub_of

SOURCE = ROOT / "notebooks/exercises/04_diamond.ipynb"
NAME = "04_diamond"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason='install the extra "teach"'
)


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """A course in which chapter 4's exercises were released, as this course's own variant."""
    folder = tmp_path_factory.mktemp("teach") / "course"
    assert main(["release", str(SOURCE), "--to", str(folder)]) == 0
    return Course.open(folder)


def solved(course: Course, *without: int, essay: str = "Most pixels are walls.") -> str:
    """The text of a submission: all exercises solved but those given."""
    notebook = course.teacher(NAME)
    for cell in notebook["cells"]:
        name = cell["metadata"]["nbgrader"].get("grade_id", "")
        if name in [f"04-{number}-answer" for number in without]:
            cell["source"] = stub_of(cell)
        if name == "04-6-essay":
            cell["source"] = essay
    return render(notebook)


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory) -> Course:
    """Four submissions, as Canvas gives them, collected and graded; one of them is torn."""
    download = tmp_path_factory.mktemp("download") / "submissions.zip"
    with zipfile.ZipFile(download, "w") as file:
        file.writestr(f"ada_11_21_{NAME}.ipynb", solved(course))
        file.writestr(f"bob_LATE_12_22_{NAME}-1.ipynb", solved(course, 2, 3, essay=""))
        file.writestr(f"cyd_13_23_{NAME}.ipynb", '{"cells": [')
        file.writestr(f"dan_14_24_{NAME}.ipynb", solved(course, 1))
        file.writestr("../../../evil/../eve_15_25_x.ipynb", solved(course, 1))
        file.writestr(f"{NAME}.ipynb", "{}")
        file.writestr("notes.txt", "not a notebook")
    # 1: one file was left out because nobody knows whose it is
    assert main(["collect", "04", str(download), "--course", str(course.root)]) == 1
    # 1: a submission was unreadable
    assert main(["grade", "04", "--course", str(course.root), "--jobs", "2", "--no_sandbox"]) == 1
    return course


def test_the_release_holds_no_solutions_no_hidden_tests_and_not_the_secret(course):
    text = (course.root / "release" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8")
    shown = {line.strip() for c in json.loads(text)["cells"] for line in c["source"]}
    teacher = course.teacher(NAME)
    assert not shown & hidden_lines(teacher)
    for cell in teacher["cells"]:
        for body in re.findall(r"### BEGIN SOLUTION\n(.*?)### END", cell["source"], re.S):
            lines = {line.strip() for line in body.split("\n") if len(line.strip()) > 25}
            allowed = {line.strip() for c in teacher["cells"] if not c["metadata"]["nbgrader"].get(
                "solution") for line in c["source"].split("\n")}  # fmt: skip
            assert not shown & (lines - allowed)
    assert "BEGIN HIDDEN" not in text and course.secret not in text
    assert (course.root / "private.json").stat().st_mode & 0o077 == 0


def test_the_same_course_is_released_the_same_way_again(course):
    source = course.root / "source" / NAME / f"{NAME}.ipynb"
    first = source.read_text()
    course.release(SOURCE)
    assert source.read_text() == first


def test_collecting_stays_in_the_course_and_tells_what_it_left_out(graded):
    assert sorted(graded.submissions(NAME)) == ["11", "12", "13", "14"]
    assert not list(graded.root.parent.glob("**/evil"))


def test_points_stand_in_the_gradebook_and_in_the_details(graded):
    with graded.api().gradebook as book:
        scores = {s.student.id: s.score for s in book.assignment_submissions(NAME)}
    assert scores == {"11": 22, "12": 14, "13": 0, "14": 19}
    with open(graded.root / f"{NAME}-details.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 8
    assert [r["points"] for r in rows if r["student"] == "11"][-2] == ""  # the essay
    [torn] = {r["notes"] for r in rows if r["student"] == "13"}
    assert torn.startswith("UNREADABLE: submitted/13/04_diamond/04_diamond.ipynb is not")


def test_grading_again_gives_the_same_csv(graded):
    details = graded.root / f"{NAME}-details.csv"
    first = details.read_bytes()
    main(["grade", "04", "--course", str(graded.root), "--fresh", "--no_sandbox"])
    assert details.read_bytes() == first


def test_a_manual_grade_survives_and_counts(graded):
    def essay(book):
        return book.find_grade("04-6-essay", NAME, NAME, "11")

    with graded.api().gradebook as book:
        essay(book).manual_score, essay(book).needs_manual_grade = 2.5, False
        book.db.commit()
    main(["grade", "04", "--course", str(graded.root), "--no_sandbox"])
    main(["export", "04", "--course", str(graded.root)])
    rows = list(csv.DictReader((graded.root / f"{NAME}.csv").open(newline="")))
    assert [(r["student"], r["points"], r["to read"]) for r in rows] == [
        ("11", "24.5", "0"),
        ("12", "14", "0"),
        ("13", "0", "0"),
        ("14", "19", "1"),
    ]


def test_canvas_and_moodle_get_their_columns(graded, tmp_path, capsys):
    roster, out = tmp_path / "roster.csv", tmp_path / "out.csv"
    roster.write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,Old\n    Points Possible,,,,,9\n"
        '"Lovelace, Ada",11,,ada,A,1\n"B, Bob",8,12,,A,1\n"C, C",9,,13,A,\n"D, D",14,,,B,2\n'
        '"Late, Eve",10,,eve,A,\n',
        encoding="utf-8-sig",
    )
    command = ["export", "04", "--course", str(graded.root), "--out", str(out)]
    main([*command, "--format", "canvas", "--roster", str(roster)])
    rows = list(csv.reader(out.open(newline="")))
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", NAME]
    assert rows[1] == ["    Points Possible", "", "", "", "", "25"]
    assert rows[3] == ["B, Bob", "8", "12", "", "A", "14"] and rows[5][-1] == "19"
    assert rows[6] == ["Late, Eve", "10", "", "eve", "A", ""]
    roster.write_text("Student,ID,SIS User ID,SIS Login ID,Section\nx,11,,ada,A\n")
    assert main([*command, "--format", "canvas", "--roster", str(roster)]) == 1
    assert "not exported: 12, 13, 14. Their points" in capsys.readouterr().out
    assert f"x,11,,ada,A,{rows[2][-1]}" in out.read_text()
    main([*command, "--format", "moodle"])
    assert out.read_text().splitlines()[0] == f"Username,{NAME}"
    assert "12,14" in out.read_text()


def test_feedback_shows_the_hint_and_no_hidden_test(graded):
    assert main(["feedback", "04", "--course", str(graded.root)]) == 0
    page = (graded.root / f"feedback/12/{NAME}/{NAME}.html").read_text(encoding="utf-8")
    assert "is not written yet" in page
    assert not [line for line in hidden_lines(graded.teacher(NAME)) if line in page]


def test_a_batch_that_is_killed_goes_on_where_it_was(course, tmp_path):
    again = Course(tmp_path / "again")
    again.release(SOURCE, private=False)
    for number in range(4):
        target = again.root / f"submitted/s{number}/{NAME}/{NAME}.ipynb"
        target.parent.mkdir(parents=True)
        notebook = read_notebook(SOURCE)
        notebook["cells"][4]["source"] += f"\n# {number}"
        for cell in notebook["cells"]:
            if cell["metadata"]["nbgrader"].get("grade_id") == "04-1-answer":
                cell["source"] += f"\n# {number}"
        target.write_text(render(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "wmlearn.grading", "grade", "04", "--jobs", "1"]
    command += ["--course", str(again.root), "--no_sandbox"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    batch = subprocess.Popen(command, env=environment, start_new_session=True,
                             stdout=subprocess.DEVNULL)  # fmt: skip
    store = again.root / ".graded" / NAME
    end = time.monotonic() + 240
    while len(list(store.glob("*.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(batch.pid, signal.SIGKILL)
    batch.wait()
    kept = {path: path.stat().st_mtime_ns for path in store.glob("*.json")}
    assert 2 <= len(kept) < 4
    rows = again.grade(NAME, jobs=2, say=lambda text: None, no_sandbox=True)
    assert [row.report.points for row in rows] == [22] * 4
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    with again.api().gradebook as book:
        assert [s.score for s in book.assignment_submissions(NAME)] == [22] * 4


def test_gradescopes_zip_from_the_same_source_grades_the_same(course, tmp_path, monkeypatch):
    pytest.importorskip("otter", reason='install the extra "teach"')
    from otter.api import grade_submission

    from wmlearn.grading.gradescope import make_zip

    made = make_zip(course.root / "source" / NAME / f"{NAME}.ipynb", tmp_path / "out")
    student = json.loads(made.student.read_text(encoding="utf-8"))
    lines = {x.strip() for c in student["cells"] for x in "".join(c["source"]).split("\n")}
    assert not lines & hidden_lines(course.teacher(NAME))
    assert "raise NotImplementedError()" in lines and not any("SOLUTION" in x for x in lines)
    answers = {}
    for cell in course.teacher(NAME)["cells"]:
        name = re.search(r"def (\w+)", cell["source"])
        if cell["metadata"]["nbgrader"].get("solution") and name:
            answers[name[1]] = cell["source"]
    for cell in student["cells"]:
        text = "".join(cell["source"])
        name = re.search(r"def (\w+)", text)
        if cell["cell_type"] == "code" and name and name[1] in answers and name[1] != "loss":
            cell["source"] = answers[name[1]]
    submission = tmp_path / f"{NAME}.ipynb"
    submission.write_text(json.dumps(student), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    results = grade_submission(str(submission), str(made.autograder), quiet=True)
    points = {name: test.score for name, test in results.results.items()}
    assert points == {
        "q04_1": 3,
        "q04_2": 4,
        "q04_3": 4,
        "q04_4": 0,
        "q04_5": 3,
        "q04_6": 1,
        "q04_7": 3,
    }


def test_two_repositories_for_a_course_with_nothing_but_git(course, tmp_path):
    import yaml

    command = ["github", "04", "--course", str(course.root), "--out", str(tmp_path)]
    assert main(command) == 0
    student, grading = tmp_path / "student", tmp_path / "grading"
    secret = hidden_lines(course.teacher(NAME))
    for path in student.rglob("*.ipynb"):
        shown = {x.strip() for c in json.loads(path.read_text())["cells"] for x in c["source"]}
        assert not shown & secret
    for path in (student / ".github/workflows/check.yml", grading / ".github/workflows/grade.yml"):
        workflow = yaml.safe_load(path.read_text())
        assert workflow["jobs"] and workflow["permissions"] == {"contents": "read"}
        assert "NAME" not in path.read_text()
    # what the two workflows run
    unsolved = student / f"{NAME}.ipynb"
    report = grade(unsolved, student / ".tests" / f"{NAME}.ipynb", no_sandbox=True)
    assert report.points == 0 and "not written yet" in report.scores[0].message
    root = grading / "course"
    teacher = root / f"source/{NAME}/{NAME}.ipynb"
    assert main(["release", str(teacher), "--to", str(root), "--public"]) == 0
    assert Course.open(root).teacher(NAME) == course.teacher(NAME)


def test_what_is_missing_without_bubblewrap_is_said(monkeypatch, capsys):
    sandbox.find_sandbox.cache_clear()
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    try:
        found = sandbox.find_sandbox()
        if sys.platform == "linux":
            assert "bubblewrap is missing" in found.missing
            assert "apt-get install bubblewrap" in found.missing
        with pytest.raises(ValueError, match="bubblewrap"):
            main(["grade", str(SOURCE), "x.ipynb"])
        with pytest.raises(ValueError, match="--no_sandbox"):
            grade(SOURCE, SOURCE)
        released = str(SOURCE.parent / "release" / SOURCE.name)
        assert main(["grade", str(SOURCE), released, "--no_sandbox"]) == 0
        out = capsys.readouterr()
        assert "WARNING: " in out.err and "NO SANDBOX" in out.out and "0 of 25" in out.out
    finally:
        monkeypatch.undo()
        sandbox.find_sandbox.cache_clear()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["grade", "04", "--course", "{}"], "is no course yet: make one with"),
        (["release", "04"], "Say where to"),
        (["release", "77", "--to", "{}"], "No single exercise is called '77'"),
        (["release", "gone.ipynb", "--to", "{}"], "There is no notebook gone.ipynb"),
    ],
)
def test_a_mistake_gets_a_sentence(command, message, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ValueError, match=re.escape(message)):
        main([word.format(tmp_path) for word in command])


def test_an_exercise_whose_solution_fails_is_not_released(tmp_path):
    notebook = read_notebook(SOURCE)
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("total.log() / 4", "total.log() / 5")
    broken = tmp_path / SOURCE.name
    broken.write_text(render(notebook), encoding="utf-8")
    course = Course(tmp_path / "course")
    with pytest.raises(ValueError, match=r"04\.1: the solution gets 0 of 3 points"):
        course.release(broken, private=False)
    assert not (course.root / "release").exists()


def test_an_exercise_is_found_by_its_number_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_exercise("04").name == f"{NAME}.ipynb"
