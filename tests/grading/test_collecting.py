"""Collecting from each LMS's real naming scheme: whose a file is, and the account of all files."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import zipfile
from pathlib import Path

import pytest

from wmlearn.grading.__main__ import main
from wmlearn.grading.collecting import LITTER, NOT_ONE, OLDER, OTHER, REFUSED, TAKEN, collect
from wmlearn.grading.course import Course
from wmlearn.grading.schemes import identify

NAME = "01_toy"


def notebook(text: str = "x = 1", grade_id: str = "01-1-answer") -> bytes:
    meta = {"nbgrader": {"grade_id": grade_id, "solution": True}}
    cell = {"cell_type": "code", "source": text, "metadata": meta}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}).encode()


@pytest.fixture
def course(tmp_path) -> Course:
    folder = tmp_path / "course" / "source" / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_bytes(notebook())
    (tmp_path / "course" / "nbgrader_config.py").write_text("")
    return Course(tmp_path / "course")


def make_zip(path: Path, files: dict[str, bytes], times: dict[str, tuple] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            when = (times or {}).get(name, (2026, 11, 1, 12, 0, 0))
            archive.writestr(zipfile.ZipInfo(name, when), content)
    return path


def submitted(course: Course) -> dict[str, str]:
    found = {}
    for path in (course.root / "submitted").glob(f"*/{NAME}/{NAME}.ipynb"):
        [cell] = json.loads(path.read_bytes())["cells"]
        found[path.parts[-3]] = cell["source"]
    return found


def kept(course: Course) -> set[str]:
    paths = (course.root / "collected" / NAME).rglob("*.ipynb")
    return {json.loads(path.read_bytes())["cells"][0]["source"] for path in paths}


def fates(found) -> dict[str, str]:
    return {line.file: line.what for line in found.lines}


# Canvas


def test_canvas_knows_people_by_their_user_id_not_by_their_names(course, tmp_path):
    download = make_zip(
        tmp_path / "submissions.zip",
        {
            f"lovelaceada_11_901_{NAME}.ipynb": notebook("ada"),
            f"lovelaceada_LATE_12_902_{NAME}.ipynb": notebook("another ada"),
            f"boole_13_903_lovelaceada_11_999_{NAME}.ipynb": notebook("george"),
            f"boole_13_907_{NAME}-1.ipynb": notebook("george's second"),
            "gauss_14_908_notes.pdf": b"%PDF",
        },
    )
    found = collect(course, NAME, [download])
    assert submitted(course) == {"11": "ada", "12": "another ada", "13": "george's second"}
    assert found.counts == {TAKEN: 3, OLDER: 1, NOT_ONE: 1}
    assert found.lost == ("14 (gauss): no notebook was found",)
    assert kept(course) == {"george"}


def test_a_file_that_is_not_canvass_own_is_refused(course, tmp_path):
    files = {f"a_1_2_{NAME}.ipynb": notebook("a"), f"x/b_3_4_{NAME}.ipynb": notebook("b")}
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files)])
    assert submitted(course) == {"1": "a"}
    assert found.lost == (
        f"x/b_3_4_{NAME}.ipynb: it does not carry Canvas's user id, as the other files do.",
    )


# Moodle


@pytest.mark.parametrize("end", ["", "_"])
def test_moodle_knows_people_by_their_participant_number(course, tmp_path, end):
    download = make_zip(
        tmp_path / "Course-Toy-77.zip",
        {
            f"Ada Lovelace_501_assignsubmission_file{end}/{NAME}.ipynb": notebook("ada"),
            f"Ada Lovelace_502_assignsubmission_file{end}/{NAME}.ipynb": notebook("other ada"),
            f"X_501_assignsubmission_file__503_assignsubmission_file{end}/{NAME}.ipynb":
                notebook("the name of X is a trick"),
            f"Participant_504_assignsubmission_file{end}/Ada_501_assignsubmission_file_/a.ipynb":
                notebook("the folder is a trick"),
        },
    )  # fmt: skip
    found = collect(course, NAME, [download])
    assert submitted(course) == {
        "501": "ada",
        "502": "other ada",
        "503": "the name of X is a trick",
        "504": "the folder is a trick",
    }
    assert found.lost == () and found.counts == {TAKEN: 4}


def test_moodle_without_folders(course, tmp_path):
    download = make_zip(
        tmp_path / "a.zip",
        {
            f"Ada Lovelace_501_assignsubmission_file_{NAME}.ipynb": notebook("ada"),
            f"Bob_502_assignsubmission_file_A_501_assignsubmission_file_{NAME}.ipynb": b"{}",
        },
    )
    found = collect(course, NAME, [download])
    assert submitted(course) == {"501": "ada"}
    [lost] = found.lost
    assert "several participant numbers" in lost and "in folders" in lost


def test_two_files_of_one_participant_the_newest_by_moodles_time(course, tmp_path):
    folder = "Ada Lovelace_501_assignsubmission_file"
    files = {f"{folder}/zzz_new.ipynb": notebook("new"), f"{folder}/a_old.ipynb": notebook("old")}
    files[f"{folder}/scratch.ipynb"] = notebook("scratch", "something else")
    times = {
        f"{folder}/zzz_new.ipynb": (2026, 11, 2, 9, 0, 0),
        f"{folder}/scratch.ipynb": (2026, 11, 9, 9, 0, 0),
    }
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files, times)])
    assert submitted(course) == {"501": "new"} and kept(course) == {"old", "scratch"}
    assert fates(found) == {
        f"{folder}/zzz_new.ipynb": TAKEN,
        f"{folder}/a_old.ipynb": OLDER,
        f"{folder}/scratch.ipynb": OTHER,
    }
    assert found.lost == ()
    # the older download again, later: what is newer stays
    del files[f"{folder}/zzz_new.ipynb"], files[f"{folder}/scratch.ipynb"]
    again = collect(course, NAME, [make_zip(tmp_path / "b.zip", files)])
    assert submitted(course) == {"501": "new"} and again.counts == {OLDER: 1}
    assert again.lines[0].why == "a newer one was collected before"


# Gradescope


METADATA = """\
submission_9001:
  :submitters:
  - :name: Ada Lovelace
    :sid: '0011'
    :email: ada@example.edu
  :created_at: 2026-11-01 10:00:00.123 Z
  :score: 3.0
  :status: processed
  :history:
  - :id: 8999
    :created_at: 2026-10-30 10:00:00 Z
submission_9002:
  :submitters:
  - :name: Ada Lovelace
    :sid:
    :email: ada2@example.edu
  - :name: Bob
    :sid: 0012
    :email: bob@example.edu
  :created_at: !ruby/object:Time 2026-11-02 10:00:00
"""


def test_gradescope_tells_in_its_metadata_and_groups_get_one_each(course, tmp_path):
    top = "assignment_123_export"
    fake = METADATA.replace("Ada Lovelace", "Eve").encode()
    download = make_zip(
        tmp_path / "submissions.zip",
        {
            f"{top}/submission_metadata.yml": METADATA.encode(),
            f"{top}/submission_9001/{NAME}.ipynb": notebook("ada"),
            f"{top}/submission_9002/work/{NAME}.ipynb": notebook("two"),
            f"{top}/submission_9002/submission_metadata.yml": fake,
            f"{top}/submission_9003/{NAME}.ipynb": notebook("nobody"),
        },
    )
    found = collect(course, NAME, [download])
    assert submitted(course) == {"0011": "ada", "ada2@example.edu": "two", "0012": "two"}
    assert found.lost == (
        f"{top}/submission_9003/{NAME}.ipynb: submission_metadata.yml does not say whose it is.",
    )


def test_damaged_metadata_costs_that_download_only(course, tmp_path):
    files = {"submission_metadata.yml": b"{[", f"submission_1/{NAME}.ipynb": notebook("ada")}
    other = make_zip(tmp_path / "b.zip", {f"bob/{NAME}.ipynb": notebook("bob")})
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files), other])
    assert submitted(course) == {"bob": "bob"} and found.counts == {REFUSED: 2, TAKEN: 1}


# Brightspace


def test_brightspace_tells_in_its_folders(course, tmp_path):
    new = "1201-77 - Ada Lovelace - Nov 13, 2026 1035 PM"
    old = "1201-77 - Ada Lovelace - Nov 2, 2026 935 AM"
    download = make_zip(
        tmp_path / "Toy Download Nov 14, 2026.zip",
        {
            "index.html": b"<html>",
            f"{old}/{NAME}.ipynb": notebook("old"),
            f"{new}/{NAME}.ipynb": notebook("new"),
            f"1202-77 - Ada - Lovelace - Nov 3, 2026 1000 AM/{old}/{NAME}.ipynb": notebook("2nd"),
        },
    )
    found = collect(course, NAME, [download])
    assert submitted(course) == {"1201": "new", "1202": "2nd"}
    assert found.counts == {LITTER: 1, OLDER: 1, TAKEN: 2} and found.lost == ()


# Folders and files


def test_plain_folders_the_outermost_counts(course, tmp_path):
    for path, text in {
        f"ada/{NAME}.ipynb": "ada",
        f"bob/ada/{NAME}.ipynb": "bob",
        "cyd.ipynb": "cyd",
        f"{NAME}.ipynb": "nobody",
    }.items():
        target = tmp_path / "in" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(notebook(text))
    found = collect(course, NAME, [tmp_path / "in"])
    assert submitted(course) == {"ada": "ada", "bob": "bob", "cyd": "cyd"}
    [lost] = found.lost
    assert "whose is it?" in lost


@pytest.mark.parametrize("wrapper", ["submissions", "toy class", NAME, "Submitted/my class"])
def test_a_folder_around_everybody_is_nobody(course, tmp_path, wrapper):
    files = {f"{wrapper}/{who}/{NAME}.ipynb": notebook(who) for who in ("ada", "bob")}
    collect(course, NAME, [make_zip(tmp_path / "a.zip", files)])
    assert submitted(course) == {"ada": "ada", "bob": "bob"}


def test_names_that_differ_little_stay_two_people(course, tmp_path):
    names = ["a b", "a-b", "A-b", "x[1]", "x-1", "é", "e\u0301x"]
    files = {f"{who}/{NAME}.ipynb": notebook(who) for who in names}
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files)])
    assert sorted(submitted(course).values()) == sorted(names) and found.counts == {TAKEN: 7}
    ids = [name.casefold() for name in submitted(course)]
    assert len(set(ids)) == 7
    # and again: the same people have the same ids
    collect(course, NAME, [make_zip(tmp_path / "b.zip", files)])
    assert len(submitted(course)) == 7


def test_macs_twins_and_checkpoints_are_left_aside(course, tmp_path):
    files = {
        f"ada/{NAME}.ipynb": notebook("work"),
        f"__MACOSX/ada/._{NAME}.ipynb": b"\0\5\26\7",
        f"ada/._{NAME}.ipynb": b"\0\5\26\7",
        f"ada/.ipynb_checkpoints/{NAME}-checkpoint.ipynb": notebook("autosave"),
        "ada/.DS_Store": b"",
    }
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files)])
    assert submitted(course) == {"ada": "work"}
    assert found.counts == {TAKEN: 1, LITTER: 4} and found.lost == ()


def test_a_zip_that_a_student_handed_in_is_opened(course, tmp_path):
    inner = make_zip(tmp_path / "inner.zip", {f"deep/{NAME}.ipynb": notebook("ada"), "a.txt": b""})
    files = {"lovelaceada_11_21_work.zip": inner.read_bytes(), "b_12_22_w.zip": b"PK no"}
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files)])
    assert submitted(course) == {"11": "ada"}
    assert found.counts == {TAKEN: 1, NOT_ONE: 1, REFUSED: 1} and len(found.lost) == 1


# Damage


def flags(path: Path, name: str, bit: int) -> None:
    """Sets a bit of a zip entry's flags, as an encrypted one has it."""
    data = bytearray(path.read_bytes())
    for signature, offset, at in ((b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            if data[start + at : start + at + len(name)] == name.encode():
                data[start + offset] |= bit
    path.write_bytes(bytes(data))


def test_damage_costs_the_damaged_file_only(course, tmp_path):
    files = {f"{who}/{NAME}.ipynb": notebook(who * 50) for who in ("ada", "bob", "cyd", "dan")}
    files[f"eve/{NAME}.ipynb"] = b" " * (20 * 2**20 + 1)
    files[f"../fay/{NAME}.ipynb"] = notebook("fay")
    path = make_zip(tmp_path / "a.zip", files)
    flags(path, f"bob/{NAME}.ipynb", 1)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"cyd" * 50, b"cyd" * 49 + b"cxd"))  # a wrong checksum
    (tmp_path / "torn.zip").write_bytes(data[: len(data) // 2])
    found = collect(course, NAME, [tmp_path / "torn.zip", tmp_path / "gone.zip", path])
    assert submitted(course) == {"ada": "ada" * 50, "dan": "dan" * 50}
    why = {line.file: line.why for line in found.lines if line.what == REFUSED}
    assert "encrypted" in why[f"bob/{NAME}.ipynb"] and "damaged" in why[f"cyd/{NAME}.ipynb"]
    assert "larger than 20 MB" in why[f"eve/{NAME}.ipynb"]
    assert "out of the archive" in why[f"../fay/{NAME}.ipynb"]
    assert "damaged" in why["torn.zip"] and "no folder" in why["gone.zip"]
    assert len(found.lines) == 8 and len(found.lost) == 6


def test_an_older_one_that_can_be_read_is_better_than_a_torn_one_and_that_is_told(course, tmp_path):
    files = {f"a_1_5_{NAME}.ipynb": notebook("old"), f"a_1_9_{NAME}.ipynb": notebook()[:-9]}
    found = collect(course, NAME, [make_zip(tmp_path / "a.zip", files)])
    assert submitted(course) == {"1": "old"}
    [lost] = found.lost
    assert "not readable" in lost
    # a torn one alone is taken: grading gives it 0 points and says so
    found = collect(
        course, NAME, [make_zip(tmp_path / "b.zip", {f"b_2_9_{NAME}.ipynb": notebook()[:-9]})]
    )
    assert found.students == ["2"] and found.lost == ()


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_are_not_opened(course, tmp_path):
    folder = tmp_path / "in" / "ada"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").symlink_to(course.root / "source" / NAME / f"{NAME}.ipynb")
    link = zipfile.ZipInfo(f"bob/{NAME}.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    found = collect(course, NAME, [tmp_path / "in", tmp_path / "a.zip"])
    assert submitted(course) == {} and found.counts == {REFUSED: 2}


# The account


def test_the_account_names_every_file_and_the_exit_status_tells_of_a_loss(course, tmp_path, capsys):
    files = {f"=cmd/{NAME}.ipynb": notebook("a"), "bob/notes.txt": b"no notebook"}
    path = make_zip(tmp_path / "a.zip", files)
    assert main(["collect", "01", str(path), "--course", str(course.root)]) == 1
    out = capsys.readouterr().out
    assert "2 files (1 taken, 1 no notebook)" in out
    assert "NOT TAKEN: bob (bob): no notebook was found" in out
    table = (course.root / f"{NAME}-collected.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["file"] for row in rows] == [f"'=cmd/{NAME}.ipynb", "bob/notes.txt"]
    assert rows[0]["name"] == "'=cmd"
    fine = make_zip(tmp_path / "b.zip", {f"ada/{NAME}.ipynb": notebook()})
    assert main(["collect", "01", str(fine), "--course", str(course.root)]) == 0


def test_200_mutated_archives_and_every_file_is_accounted_for(course, tmp_path):
    draw = random.Random(0)
    files = {f"a_{i}_{i + 50}_{NAME}.ipynb": notebook(f"x = {i}") for i in range(8)}
    original = make_zip(tmp_path / "a.zip", files).read_bytes()
    opened = 0
    for number in range(200):
        data = bytearray(original)
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(data))
            if draw.random() < 0.8:
                data[at] = draw.randrange(256)
            else:
                del data[at : at + draw.randint(1, 60)]
        path = tmp_path / "mutated.zip"
        path.write_bytes(bytes(data))
        found = collect(Course(course.root), NAME, [path])
        try:
            with zipfile.ZipFile(path) as archive:
                count = sum(not info.is_dir() for info in archive.infolist())
        except Exception:
            assert found.counts == {REFUSED: 1} and len(found.lost) == 1
            continue
        opened += 1
        assert len(found.lines) == sum(found.counts.values()) >= count, number
        assert bool(found.lost) == any(
            line.what in (REFUSED, NOT_ONE) and line.student not in found.students
            for line in found.lines
        ) or any(line.what == REFUSED for line in found.lines)
    assert 40 < opened < 200


def test_a_download_of_thousands_of_files_takes_no_long():
    places = [(f"a_{i}_{i}_x.ipynb",) for i in range(20_000)]
    places += [("_" * 5000 + f"{i}.ipynb",) for i in range(20)]
    whose = identify(places, lambda place: b"", NAME)
    assert whose.scheme == "Canvas" and len(whose.owners) == 20_000
