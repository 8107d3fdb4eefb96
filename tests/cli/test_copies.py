"""The reader's copies of the notebooks: nothing of the reader's is lost, the course stays clean."""

from __future__ import annotations

import pytest

from wmlearn.cli.copies import copy_notebooks


@pytest.fixture
def folders(tmp_path):
    course, mine = tmp_path / "notebooks", tmp_path / "my-notebooks"
    for name in ("04_a.ipynb", "exercises/04_a.ipynb", "src/x.ipynb", "runs/y.ipynb"):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text("first")
    assert copy_notebooks(course, mine) == []
    return course, mine


def test_notebooks_are_copied_and_nothing_else(folders):
    course, mine = folders
    found = sorted(p.relative_to(mine).as_posix() for p in mine.rglob("*.ipynb"))
    assert found == ["04_a.ipynb", "exercises/04_a.ipynb"]


def test_what_the_reader_saved_stays_and_the_course_is_untouched(folders):
    course, mine = folders
    (mine / "04_a.ipynb").write_text("mine")
    assert copy_notebooks(course, mine) == []
    assert (mine / "04_a.ipynb").read_text() == "mine"
    assert (course / "04_a.ipynb").read_text() == "first"


def test_a_copy_that_nobody_changed_follows_the_course(folders):
    course, mine = folders
    (course / "04_a.ipynb").write_text("second")
    assert copy_notebooks(course, mine) == []
    assert (mine / "04_a.ipynb").read_text() == "second"


def test_where_both_changed_the_reader_s_stays_and_is_told(folders):
    course, mine = folders
    (mine / "04_a.ipynb").write_text("mine")
    (course / "04_a.ipynb").write_text("second")
    for _ in range(2):  # told again, as long as it is so
        (told,) = copy_notebooks(course, mine)
        assert "--fresh 04_a" in told and (mine / "04_a.ipynb").read_text() == "mine"


@pytest.mark.parametrize("names", [["04_a"], ["04_a.ipynb"], []])
def test_fresh_starts_anew_and_keeps_what_was_there(folders, names):
    course, mine = folders
    for text in ("mine", "mine again"):
        (mine / "04_a.ipynb").write_text(text)
        (told,) = copy_notebooks(course, mine, names)
        assert (mine / "04_a.ipynb").read_text() == "first" and "before/" in told
    kept = sorted(p.read_text() for p in (mine / "before").rglob("*.ipynb"))
    assert kept == ["mine", "mine again"]
    assert copy_notebooks(course, mine) == []


def test_a_name_that_is_none_is_refused(folders):
    with pytest.raises(ValueError, match="no notebook '05_b'; choose one of 04_a"):
        copy_notebooks(*folders, ["05_b"])


@pytest.mark.parametrize("damage", ["", "[1]", "{", "[" * 100_000])
def test_a_damaged_list_costs_nothing_of_the_reader_s(folders, damage):
    course, mine = folders
    (mine / "04_a.ipynb").write_text("mine")
    (mine / ".course.json").write_text(damage)
    copy_notebooks(course, mine)
    assert (mine / "04_a.ipynb").read_text() == "mine"
