"""A stamped system trains, dreams and keeps the rules; nothing but the registry is edited."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

COPIED = ("wmlearn", "tools", "tests", "conftest.py", "pyproject.toml")
NEEDED = ("notebooks/src/00_start_here.py",)
PAPER = ["--claim", "None.", "--paper", "Nobody (2026), Nothing", "--link", "https://example.org"]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(folder), "WMLEARN_TIER": "smoke"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=600
    )


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if "__pycache__" not in name}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """A copy of the repository with a stamped system, and what the copy held before."""
    folder = tmp_path_factory.mktemp("stamped") / "repository"
    for name in (*COPIED, *NEEDED):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, folder / name)
    before = contents(folder)
    result = run(folder, "tools/new_system.py", "Throw Away", "--number", "77", *PAPER)
    assert result.returncode == 0, result.stderr
    return folder, before


def test_it_edits_the_registry_and_nothing_else(copy):
    folder, before = copy
    after = contents(folder)
    assert {name for name in before if after.get(name) != before[name]} == {
        "wmlearn/systems/__init__.py"
    }
    new = after.keys() - before.keys()
    rooms = ("wmlearn/systems/throw_away/", "wmlearn/chapters/ch77_throw_away/", "notebooks/")
    assert {name for name in new if not name.startswith(rooms)} == {
        "tests/unit/systems/test_throw_away.py",
        "tests/exercises/77_1.py",
    }
    assert {"notebooks/77_throw_away.ipynb", "notebooks/exercises/77_throw_away.ipynb"} <= new
    left = [name for name in new if b"mymodel" in after[name].lower()]
    assert left == [], "a name of the template is left"


def test_its_own_tests_and_those_over_the_registry_pass(copy):
    folder, _ = copy
    where = ["tests/unit/systems/test_throw_away.py", "tests/unit/test_layout.py"]
    where += ["tests/systems/test_resume.py"]
    chosen = "throw and not (killed or resum)"  # the slow ones; they run on what is there anyway
    words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *where, "-k", chosen]
    result = run(folder, *words)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "passed" in result.stdout


def test_it_is_laid_out_as_the_rest(copy):
    folder, before = copy
    new = [name for name in contents(folder).keys() - before.keys() if name.endswith(".py")]
    code = [name for name in new if not name.startswith("notebooks/")]
    for words in (["check"], ["format", "--check"]):
        result = run(folder, "-m", "ruff", *words, "--no-cache", "--quiet", *code)
        assert result.returncode == 0, result.stdout


def test_what_cannot_be_stamped_is_refused_in_a_sentence(copy):
    folder, _ = copy
    before = contents(folder)
    again = run(folder, "tools/new_system.py", "Throw Away", "--number", "78", *PAPER)
    unknown = run(folder, "tools/new_system.py", "Unheard Of", "--number", "78")
    assert "has a system 'throw-away' already" in again.stderr
    assert "give --claim, --paper and --link" in unknown.stderr
    assert again.returncode and unknown.returncode and contents(folder) == before


def test_a_planned_system_keeps_its_place_on_the_map(copy):
    folder, _ = copy
    assert run(folder, "tools/new_system.py", "MuZero", "--number", "3").returncode == 0
    ask = "from wmlearn.systems import SYSTEMS; print([(s.name, s.chapter, s.link != '') for s in "
    ask += "SYSTEMS if s.title == 'MuZero'])"
    assert "[('muzero', '03_muzero', True)]" in run(folder, "-c", ask).stdout
