"""Points go back into Canvas and Moodle, whatever the encoding; no cell is a formula."""

from __future__ import annotations

import csv
import io

import pytest

from wmlearn.grading import export as exporting
from wmlearn.grading.course import Course
from wmlearn.grading.export import export
from wmlearn.grading.tables import read_table, safe_cell, table_text

NAME = "01_toy"
STUDENTS = [("11", [3.0, 1.5], 0), ("12", [0.0, 0.0], 1), ("müller", [3.0, 2.0], 0)]
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,01_toy (777),Old (5)
    Points Possible,,,,,,9
"Lovelace, Ada",11,s11,ada,"A; one",,1
"Boole, ""G."" B",12,s12,bob,A,,
"Müller, Jürgen",13,s13,müller,A,,3
"Late, Eve",14,s14,eve,A,,
"Student, Test",99,,,A,,
"""
MOODLE = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed
Participant 11,Ada Lovelace,ada@x.edu,Submitted,,"5,00",Yes
Participant 12,"Boole, George",b@x.edu,Submitted,,"5,00",Yes
Participant 13,Jürgen,müller,Submitted,1,"5,00",Yes
Participant 14,Eve,eve@x.edu,No submission,,"5,00",Yes
"""
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]


@pytest.fixture(autouse=True)
def points(monkeypatch):
    monkeypatch.setattr(
        exporting, "_points", lambda course, name: (STUDENTS, 5.0, ["01-1-test", "01-2-test"])
    )


def written(tmp_path, text: str, delimiter: str, encoding: str, end: str = "\r\n"):
    rows = csv.reader(io.StringIO(text))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    path = tmp_path / "roster.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_canvass_gradebook_comes_back_with_its_columns_and_ids(tmp_path, encoding, delimiter):
    roster = written(tmp_path, CANVAS, delimiter, encoding)
    text = export(Course(tmp_path), NAME, "canvas", roster).text
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_toy (777)"]
    assert rows[1] == ["    Points Possible", "", "", "", "", "5"]
    assert {row[1]: row[-1] for row in rows[2:]} == {
        "11": "4.5",
        "12": "0",
        "13": "5",
        "14": "",
        "99": "",
    }
    assert rows[2][0] == "Lovelace, Ada" and rows[2][4] == "A; one"
    assert rows[3][0] == 'Boole, "G." B' and rows[4][0] == "Müller, Jürgen"
    # what was written can be read as a roster again
    again = tmp_path / "again.csv"
    again.write_text(text, encoding="utf-8")
    assert export(Course(tmp_path), NAME, "canvas", again).text == text


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_moodles_worksheet_comes_back_with_its_grades_filled_in(tmp_path, encoding, delimiter):
    roster = written(tmp_path, MOODLE, delimiter, encoding)
    text = export(Course(tmp_path), NAME, "moodle", roster).text
    before, after = read_table(roster), list(csv.reader(io.StringIO(text), delimiter=delimiter))
    assert after[0] == before.header
    for old, new, grade in zip(before.rows, after[1:], ["4.5", "0", "5", ""], strict=True):
        assert new == [*old[:4], grade, *old[5:]]


def test_a_title_in_canvas_can_be_given(tmp_path):
    roster = written(tmp_path, CANVAS, ",", "utf-8")
    text = export(Course(tmp_path), NAME, "canvas", roster, column="Toys (8)").text
    assert text.splitlines()[0].endswith(",Section,Toys (8)")


def test_somebody_who_left_the_course_does_not_hold_up_the_others(tmp_path):
    roster = written(tmp_path, CANVAS.replace(",12,", ",77,"), ",", "utf-8")
    made = export(Course(tmp_path), NAME, "canvas", roster)
    assert made.left == ("12",)
    points = {row[1]: row[-1] for row in csv.reader(io.StringIO(made.text))}
    assert points["11"] == "4.5" and points["13"] == "5" and points["77"] == ""


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("canvas", CANVAS.replace(",14,", ",12,"), "has several lines for 12"),
        ("canvas", "Name,Points\nada,3\n", "not a gradebook that Canvas exported"),
        ("moodle", MOODLE.replace("Grade,", "Mark,", 1), "not a grading worksheet"),
        ("moodle", MOODLE.replace("5,00", "10,00"), "set its maximum grade in Moodle to 5"),
        ("moodle", "", "holds no table"),
        ("canvas", CANVAS.splitlines()[0] + "\nx,1,,,A,\n", "a line for none of the course's"),
    ],
)
def test_a_roster_that_does_not_fit_gets_a_sentence(tmp_path, kind, text, message):
    roster = written(tmp_path, text, ",", "utf-8")
    with pytest.raises(ValueError, match=message):
        export(Course(tmp_path), NAME, kind, roster)
    with pytest.raises(ValueError, match="cannot be read"):
        export(Course(tmp_path), NAME, kind, tmp_path / "gone.csv")


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"]
)
def test_what_looks_like_a_formula_is_shown_and_not_run(cell):
    assert safe_cell(cell) == "'" + cell.replace("\r", "\n")
    for text in (cell, "x" + cell):
        [[back]] = csv.reader(io.StringIO(table_text([[text]]), newline=""))
        assert back[0] in "'x"


@pytest.mark.parametrize("cell", ["-1", "+2.5", "1e-3", -3.5, "a=b", "", "x@y.edu", "12"])
def test_numbers_and_plain_text_stay_as_they_are(cell):
    assert safe_cell(cell) == str(cell)
