"""A chapter's footer: the header's promise, what a run took, and when that fails."""

from __future__ import annotations

import json
import re
import time

import pytest
from places import ROOT

from wmlearn.course.footer import STRICT, TOLERANCE, broken_promises, footer

HEADER = re.compile(r"\| `laptop` \|[^|]*\| about (\d+) minutes \|[^|]*\| ([\d.]+) GB \|")
CALL = re.compile(r"footer\(began, minutes=([\d.]+), gigabytes=([\d.]+)\)")
RUN = re.compile(r"([\d.]+) minutes from\s+section 1 to here, ([\d.]+) GB")


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


CHAPTERS = [
    path
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    if CALL.search("".join(cells(path)[-1]["source"]))
]


def test_the_chapters_that_train_have_a_footer():
    assert {"04_diamond", "11_vjepa", "12_vjepa2_ac"} <= {path.stem for path in CHAPTERS}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_header_footer_and_the_stored_run_agree(path):
    first = "".join(cells(path)[0]["source"])
    promised = tuple(map(float, CALL.search("".join(cells(path)[-1]["source"])).groups()))
    assert tuple(map(float, HEADER.search(first).groups())) == promised
    output = "".join("".join(o.get("text", "")) for o in cells(path)[-1]["outputs"])
    for value, said in zip(map(float, RUN.search(output).groups()), promised, strict=True):
        assert abs(value - said) <= TOLERANCE * said


def test_what_differs_by_more_than_half_is_said():
    assert broken_promises(9, 8, 1.7, 2) == ""
    assert broken_promises(12, 8, 1, 2) == ""
    assert "12.1 minutes instead of 8" in broken_promises(12.1, 8, 1.7, 2)
    assert "0.9 GB instead of 2" in broken_promises(3.9, 8, 0.9, 2)


def test_only_a_strict_run_at_the_laptops_tier_fails(monkeypatch, capsys):
    began = time.monotonic() - 60 * 100
    monkeypatch.setenv("WMLEARN_TIER", "smoke")
    monkeypatch.setenv(STRICT, "1")
    footer(began, minutes=8, gigabytes=2)
    assert "header" not in capsys.readouterr().out
    monkeypatch.setenv("WMLEARN_TIER", "laptop")
    with pytest.raises(RuntimeError, match="100.0 minutes instead of 8"):
        footer(began, minutes=8, gigabytes=2)
    monkeypatch.delenv(STRICT)
    footer(began, minutes=8, gigabytes=2)
    assert "100.0 minutes instead of 8" in capsys.readouterr().out
