"""Whatever a submission's text is, it costs time in proportion to its length and stops nothing."""

from __future__ import annotations

import copy
import json
import random
import re
import sqlite3
import time

import pytest
from places import ROOT

from wmlearn.grading import course as courses
from wmlearn.grading import gradebook
from wmlearn.grading.course import Course
from wmlearn.grading.gradebook import check_gradebook, find_scripts, read_stamp, safe_id
from wmlearn.grading.merging import merged_notebook, plan
from wmlearn.grading.reading import clean, harmless, parse_submission, unusual
from wmlearn.grading.releasing import read_notebook, render
from wmlearn.grading.scoring import Outcome

SOURCE = ROOT / "notebooks/exercises/04_diamond.ipynb"
NAME = "04_diamond"
MEGABYTE = {
    "torch.": "torch." * 170_000,
    "a comment": "# torch" + ".a" * 500_000,
    "names": "torch.a " * 125_000,
    "spaces": "system" + " " * 10**6,
    "letters": "a" * 10**6,
    "dots": "." * 10**6,
    "words": "subprocess" * 10**5,
}


@pytest.mark.parametrize("text", MEGABYTE.values(), ids=MEGABYTE)
def test_the_search_for_unusual_words_takes_no_longer_for_odd_text(text):
    plain = "x = 1\n" * (len(text) // 6)

    def seconds(of: str) -> float:
        start = time.process_time()
        unusual(of)
        return time.process_time() - start

    assert seconds(text) < 1 + 20 * seconds(plain)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("torch.allclose = print", "overwrites parts of torch"),
        ("torch.nn.functional.mse_loss\t= f", "overwrites parts of torch"),
        ("y = torch.zeros(3) == 2\nx.torch.a = 1\nif torch.a == 2: pass", ""),
        ("import ctypes", "reaches into memory with ctypes"),
        ("os . system ('ls')", "starts processes"),
        ("#" * 300_000, "is 300,000 characters long; only the first 200,000 were searched"),
    ],
)
def test_what_is_unusual_is_found(text, found):
    assert unusual(text) == ([found] if found else [])


def test_a_notebook_from_windows_has_no_edited_cells():
    teacher = read_notebook(SOURCE)
    theirs = copy.deepcopy(teacher)
    for cell in theirs["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")
    content = b"\xef\xbb\xbf" + json.dumps(theirs).encode().replace(b"\n", b"\r\n")
    planned = plan(parse_submission(content, "x"), teacher)
    assert planned == plan(teacher, teacher) and planned.notes == ()


def test_half_a_surrogate_pair_and_nul_are_replaced():
    assert clean("a\ud800b\0c\r\nd\re") == "a\ufffdb\ufffdc\nd\ne"
    clean("\udfff" * 1000).encode()


def test_too_many_cells_are_refused():
    cell = {"cell_type": "code", "source": "", "metadata": {}}
    with pytest.raises(ValueError, match=r"more than 2,000 cells"):
        parse_submission(json.dumps({"cells": [cell] * 2001}).encode(), "x.ipynb")


def mutated(text: bytes, draw: random.Random) -> bytes:
    """The file with a few bytes changed, cut, doubled, or a JSON value replaced by another kind."""
    data = bytearray(text)
    for _ in range(draw.randint(1, 3)):
        at, length = draw.randrange(len(data)), draw.randint(1, 400)
        kind = draw.randrange(5)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            values = (b"null", b"[]", b"{}", b"1e999", b'"\\ud800"', b'"\\u0000"', b"-0", b"NaN")
            start = data.find(b": ", at)
            end = data.find(b"\n", start)
            if 0 <= start < end:
                data[start + 2 : end] = draw.choice(values) + b","
        else:
            data[at:at] = draw.choice((b'"', b"\\", b"\xff", b"{", b"]", b"\r", b"\0"))
    return bytes(data)


def test_500_mutated_notebooks_are_read_or_refused_with_a_sentence():
    teacher, draw = read_notebook(SOURCE), random.Random(0)
    original = SOURCE.read_bytes()
    read = refused = 0
    for _ in range(500):
        content = mutated(original, draw)
        try:
            planned = plan(parse_submission(content, "x.ipynb"), teacher)
        except ValueError as error:
            assert str(error).startswith("x.ipynb ")
            refused += 1
            continue
        again = render(merged_notebook(planned, teacher)).encode()  # UTF-8, whatever was in it
        assert len(plan(parse_submission(again, "y"), teacher).cells) <= len(planned.cells)
        json.dumps(planned.cells).encode()
        read += 1
    assert read > 50 and refused > 50


MARKDOWN = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a <b onclick=x>b</b>",
    "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](javascript\\:alert(1))",
    "[x](javascript&#58;alert(1))", "[x](&#106;avascript:alert(1))", "<javascript:alert(1)>",
    "[x]\n\n[x]: javascript:alert(1)", "![x](data:text/html,1)", "[x](vbscript:x)",
    "[x](<javascript:alert(1)>)", "`a` <svg/onload=alert(1)>", "$<img src=x onerror=y>$",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKDOWN)
def test_a_students_markdown_runs_nothing_on_a_page(text):
    markdown = pytest.importorskip("nbconvert.filters.markdown_mistune")
    page = markdown.markdown2html_mistune(harmless(text))
    for tag in re.findall(r"<[^>]*>", page):
        assert re.match(r"</?(p|a|img|em|strong|code|b)\b", tag), tag
        assert not re.search(r"\son\w+=|(href|src)=.(javascript|vbscript|data):", tag, re.I), tag


def test_a_students_markdown_keeps_its_marks_and_formulas():
    markdown = pytest.importorskip("nbconvert.filters.markdown_mistune")
    text = "> **Bold** and $a < b \\& c$, the data: [x](https://x.edu)"
    page = markdown.markdown2html_mistune(harmless(text))
    assert "<strong>Bold</strong>" in page and "<blockquote>" in page
    assert "$a &lt; b \\&amp; c$" in page and 'href="https://x.edu"' in page


# One submission never stops a class


def test_ids_are_safe_and_different_texts_have_different_ids():
    texts = [
        "x[1]",
        "x-1-",
        "x*",
        "../x",
        "a b",
        "a-b",
        "con",
        "é",
        "e\u0301 ",
        "",
        "\ud800",
        "A" * 99,
    ]
    made = [safe_id(text) for text in texts]
    assert len(set(made)) == len(texts)
    for name in made:
        assert name and name[0] not in ".-" and not set(name) & set("[]*?/\\: \ud800")
        assert safe_id(name) == name and len(name) < 70
    assert safe_id("ada.l@x.edu") == "ada.l@x.edu" and safe_id("a-b") == "a-b"


def test_a_locked_and_a_damaged_gradebook_get_one_sentence_within_seconds(tmp_path):
    check_gradebook(tmp_path)  # there is none yet
    book = sqlite3.connect(tmp_path / "gradebook.db", isolation_level=None)
    book.execute("create table grade (x)")
    check_gradebook(tmp_path)
    book.execute("begin exclusive")
    start = time.monotonic()
    with pytest.raises(ValueError, match="close Formgrader"):
        check_gradebook(tmp_path)
    assert time.monotonic() - start < 5
    book.close()
    (tmp_path / "gradebook.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    with pytest.raises(ValueError, match="is damaged"):
        check_gradebook(tmp_path)


def test_a_missing_alembic_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(gradebook.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ValueError, match="needs the program alembic"):
        find_scripts()


@pytest.mark.parametrize("content", [b"soon", b"\xff\xfe", b"", b"9" * 2000, b"99999-99-99"])
def test_an_unreadable_time_is_a_note(tmp_path, content):
    pytest.importorskip("nbgrader", reason='install the extra "teach"')
    path = tmp_path / "timestamp.txt"
    assert read_stamp(path) == ("", ())
    path.write_bytes(b"2026-11-27 22:00:00 UTC\n")
    assert read_stamp(path) == ("2026-11-27 22:00:00 UTC", ())
    path.write_bytes(content)
    assert read_stamp(path)[0] == "" and "unreadable" in read_stamp(path)[1][0]


def test_what_goes_wrong_with_one_submission_is_told_and_the_others_are_graded(
    tmp_path, monkeypatch
):
    course = Course(tmp_path)
    teacher = read_notebook(SOURCE)
    for folder in ("ada", "bob", "x[1]", "zoe"):
        target = tmp_path / "submitted" / folder / NAME / f"{NAME}.ipynb"
        target.parent.mkdir(parents=True)
        target.write_text(render(teacher))
    monkeypatch.setattr(Course, "teacher", lambda self, name: teacher)
    monkeypatch.setattr(Course, "limits", lambda self: courses.Limits())
    fine = Outcome({c["id"]: "" for c in plan(teacher, teacher).cells}, {}, "")
    monkeypatch.setattr(courses, "run_plan", lambda *args: fine)

    def save(self, name, student, merged, key):
        if student == "bob":
            raise RuntimeError("nbgrader could not grade bob:\nlong log")
        return ()

    monkeypatch.setattr(Course, "_save", save)
    rows = {row.student: row.report for row in course.grade(NAME, say=lambda text: None)}
    assert [rows[s].points for s in ("ada", "bob", "zoe")] == [22, 0, 22]
    assert rows["bob"].notes == ("NOT GRADED: nbgrader could not grade bob:",)
    [odd] = set(rows) - {"ada", "bob", "zoe"}
    assert rows[odd].points == 22 and odd == safe_id("x[1]")
