"""A batch with every hostile submission in it: none stops it, none touches another's grade."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import socket
import sqlite3
import sys
from pathlib import Path

import hostile
import hostile_more  # noqa: F401 (registers more)
import pytest
from places import ROOT

from wmlearn.grading.course import Course
from wmlearn.grading.merging import hidden_lines
from wmlearn.grading.releasing import read_notebook, render
from wmlearn.grading.sandbox import find_sandbox

SOURCE = ROOT / "notebooks/exercises/04_diamond.ipynb"
NAME = "04_diamond"

needs_box = pytest.mark.skipif(
    sys.platform != "linux" or not find_sandbox().found or not importlib.util.find_spec("nbgrader"),
    reason="bubblewrap and nbgrader are needed",
)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """The course, each student's report, and whether anyone reached the server."""
    course = Course(tmp_path_factory.mktemp("course"))
    notebook = read_notebook(SOURCE)  # without the cells that only print tables, to save time
    notebook["cells"] = [c for c in notebook["cells"] if "show()" not in c["source"]]
    source = tmp_path_factory.mktemp("source") / SOURCE.name
    source.write_text(render(notebook), encoding="utf-8")
    course.release(source, private=False)
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text().replace("= 60, 300, 2048", "= 10, 120, 1024"))
    os.environ["SECRET_TOKEN"] = "SECRET"
    (course.root / "precious.txt").write_text("keep")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        place = hostile.Place(course.root, server.getsockname()[1])
        for name in ["honest_one", *hostile.HOSTILE, "zoe_honest"]:
            path = course.root / "submitted" / name / NAME / f"{NAME}.ipynb"
            if name in hostile.HOSTILE:
                hostile.write(path, notebook, place, name)
            else:
                path.parent.mkdir(parents=True)
                shutil.copy(source, path)
        rows = course.grade(NAME, jobs=os.cpu_count() or 1, say=lambda text: None)
        try:
            server.accept()
            reached = True
        except TimeoutError:
            reached = False
    if out := os.environ.get("WMLEARN_HOSTILE_TABLE"):
        _write_table(Path(out), rows)
    return course, {row.student: row.report for row in rows}, reached


@pytest.fixture(scope="module")
def pages(batch):
    """Each student's feedback page, as text."""
    course, _, _ = batch
    return {path.parts[-3]: path.read_text(encoding="utf-8") for path in course.feedback(NAME)}


def _write_table(path: Path, rows: list) -> None:
    with open(path, "w", newline="") as file:
        for row in rows:
            messages = [s.message for s in row.report.scores if s.message and s.points == 0]
            points = [s.points for s in row.report.scores]
            csv.writer(file).writerow([row.student, points, messages[:1], row.report.notes])


@needs_box
@pytest.mark.parametrize("name", list(hostile.HOSTILE))
def test_a_hostile_submission_costs_its_author_what_it_should(batch, name):
    _, reports, _ = batch
    case, report = hostile.HOSTILE[name], reports[name]
    scores = [score for score in report.scores if score is not report.scores[6]]  # the essay
    assert tuple(score.points for score in scores) == case.points
    assert report.maximum == 25
    said = " ".join([*report.notes, *(score.message for score in report.scores)])
    assert case.outcome in said


@needs_box
def test_nobody_elses_grade_changes(batch):
    course, reports, reached = batch
    assert not reached, "a submission reached the network"
    for name in ("honest_one", "zoe_honest"):
        assert reports[name].points == 22 and reports[name].notes == ()
    assert (course.root / "precious.txt").read_text() == "keep"
    assert not (course.root / "pwned").exists() and not Path("/tmp/wmlearn-pwned").exists()
    with sqlite3.connect(course.root / "gradebook.db") as book:
        assert book.execute("select count(*) from grade where manual_score = 100").fetchone() == (
            0,
        )
    with course.api().gradebook as book:
        scores = {s.student.id: s.score for s in book.assignment_submissions(NAME)}
    assert scores == {name: report.points for name, report in reports.items()}


@needs_box
def test_no_message_output_or_page_quotes_a_hidden_test(batch, pages):
    course, reports, _ = batch
    secret = hidden_lines(read_notebook(SOURCE))
    assert len(secret) == 7  # a line and a seed for each exercise
    spy = course.root / f"autograded/prints_the_hidden_test/{NAME}/{NAME}.ipynb"
    outputs = json.dumps([c.get("outputs") for c in json.loads(spy.read_text())["cells"]])
    said = " ".join(score.message for score in reports["prints_the_hidden_test"].scores)
    for line in secret:
        for text in (outputs, said, *pages.values()):
            assert line not in text
    assert "HIDDEN" not in pages["prints_the_hidden_test"]


@needs_box
def test_numbers_of_hidden_tests_reach_no_message_output_or_page(batch):
    course, reports, _ = batch
    spies = [name for name in hostile.HOSTILE if name.startswith(("says_", "prints_", "leaves_"))]
    assert len(spies) == 8
    for name in spies:
        graded = course.root / f"autograded/{name}/{NAME}/{NAME}.ipynb"
        outputs = [c.get("outputs") for c in json.loads(graded.read_text())["cells"]]
        for text in (json.dumps(outputs), repr(reports[name])):
            assert "LEAK" not in text and "7777" not in text


@needs_box
def test_what_a_student_writes_in_markdown_runs_nowhere(pages):
    text = pages["a_script_in_the_essay"]
    assert "<strong>bold</strong>" in text
    assert "<script>alert" not in text and "<img src=x" not in text
    assert 'href="javascript:' not in text


@needs_box
def test_big_output_is_cut(batch):
    course, _, _ = batch
    graded = course.root / f"autograded/output_of_200_megabytes/{NAME}/{NAME}.ipynb"
    assert graded.stat().st_size < 200_000
    assert "more characters were cut" in graded.read_text()
