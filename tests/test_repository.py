"""The repository itself: style, notebook pairs, sizes, pictures with words, and true commands."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.compare import compare_notebooks
from places import ROOT

import wmlearn

README = (ROOT / "README.md").read_text(encoding="utf-8")
MEGABYTE = 1_000_000


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[Path]:
    """What belongs to the project: git's list, or all that is not hidden in a plain download."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        paths = {ROOT / name for name in listing.stdout.split("\0") if name}
    else:
        hidden = re.compile(r"^(data|runs)/|(^|/)(\.|__pycache__)")
        paths = {path for path in ROOT.rglob("*") if not hidden.search(name(path))}
    return sorted(path for path in paths if path.is_file())


FILES = tracked_files()
NOTEBOOKS = [path for path in FILES if path.suffix == ".ipynb"]
CHAPTERS = [path for path in NOTEBOOKS if path.parent == ROOT / "notebooks"]
PAIRED = [path for path in NOTEBOOKS if path.parent.name != "release"]
NOT_CODE = ("notebooks/", "book/static/vendor/")  # notebooks' other halves; other people's files


def cells(path: Path, kind: str) -> list[str]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == kind]


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff(words):
    ruff = [sys.executable, "-m", "ruff", *words, "--no-cache", "--quiet", "."]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if p.suffix in (".py", ".js", ".css") and not name(p).startswith(NOT_CODE)],
    ids=name,
)
def test_a_file_holds_one_idea(path):
    """No file of code over 450 lines."""
    assert path.read_text(encoding="utf-8").count("\n") <= 450


def test_every_folder_of_tests_is_entered():
    """A folder that pytest passes over by its name (``data`` once was) is a test that never ran."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    passed_over = settings["tool"]["pytest"]["ini_options"]["norecursedirs"]
    files = [name(path) for path in FILES if fnmatch(path.name, "test_*.py")]
    folders = {folder.as_posix() for file in files for folder in Path(file).parents}
    assert {"tests/unit/data", "tests/browser"} <= folders
    folders.discard(".")
    assert [f for f in folders for p in passed_over if fnmatch(f, p) or fnmatch(f, f"*/{p}")] == []


# Notebooks


def test_there_are_chapters():
    assert ROOT / "notebooks/00_start_here.ipynb" in CHAPTERS


@pytest.mark.parametrize("path", PAIRED, ids=name)
def test_the_pair_agrees(path):
    sources = [path.with_suffix(".py"), path.parent / "src" / path.with_suffix(".py").name]
    source = next((candidate for candidate in sources if candidate.is_file()), None)
    assert source is not None, f"{name(path)} has no partner: jupytext --sync {name(path)}"
    try:
        compare_notebooks(
            jupytext.read(source),
            jupytext.read(path),
            fmt="py:percent",
            compare_outputs=False,
            compare_ids=False,
        )
    except Exception as difference:
        pytest.fail(f"The pair differs; run jupytext --sync {name(path)}\n{difference}")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_clean(path):
    assert path.stat().st_size < MEGABYTE
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata, "widget state is stored"
    assert notebook.metadata.kernelspec.name == "python3"
    long = [line for cell in cells(path, "code") for line in cell.split("\n") if len(line) >= 90]
    assert long == [], "lines of 90 characters or more in code cells"


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_a_chapter_was_run(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert all(cell.execution_count for cell in code), "a cell was not run before saving"
    assert [output.evalue for output in outputs if output.output_type == "error"] == []
    assert statistics.median(len(cell.source.split("\n")) for cell in code) < 12


HELD_TO_IT = (
    "00_start_here", "04_diamond", "05_gamengen", "09_genie", "11_vjepa", "12_vjepa2_ac",
)  # fmt: skip


@pytest.mark.parametrize("stem", HELD_TO_IT)
def test_a_chapter_has_one_idea_a_cell_and_a_word_after_each(stem):
    """Code cells of at most 25 lines, prose between two of them, and after every figure."""
    found = nbformat.read(ROOT / f"notebooks/{stem}.ipynb", as_version=4).cells
    long = [c.source for c in found if c.cell_type == "code" and c.source.count("\n") >= 25]
    assert [source[:80] for source in long] == []
    pairs = zip(found[2:], found[3:], strict=False)  # the first two are setup and hook
    beside = [a.source[:80] for a, b in pairs if a.cell_type == b.cell_type == "code"]
    assert beside == []
    bare = [
        cell.source[-80:]
        for cell, after in zip(found, found[1:], strict=False)
        if any(
            "<img" in "".join(o.get("data", {}).get("text/html", ""))
            for o in cell.get("outputs", [])
        )
        and re.match(r"#", after.source)
    ]
    assert bare == [], "after a figure comes what was seen, then the next heading"


def test_every_chapter_has_the_same_setup_cell():
    assert len({cells(path, "code")[0] for path in CHAPTERS}) == 1


# Pictures and words


def texts() -> list[tuple[Path, str]]:
    """Every Markdown text: files and notebook cells, beside the file that they stand in."""
    pages = [(path, path.read_text(encoding="utf-8")) for path in FILES if path.suffix == ".md"]
    return pages + [(path, text) for path in NOTEBOOKS for text in cells(path, "markdown")]


def test_pictures_have_alt_text_and_exist():
    wrong = []
    for path, text in texts():
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)", text):
            if len(alt.split()) < 3:
                wrong.append(f"{name(path)}: {target} has no alt text")
            if "://" not in target and not (path.parent / target).is_file():
                wrong.append(f"{name(path)}: {target} is not there")
    assert wrong == []


def test_html_pictures_have_alt_text():
    pages = [text for _, text in texts()]
    pages += [path.read_text(encoding="utf-8") for path in NOTEBOOKS]  # stored outputs
    tags = [tag for page in pages for tag in re.findall(r"<img\b[^>]{0,2000}", page)]
    assert [tag[:80] for tag in tags if not re.search(r"\balt=\\?[\"'][^\"'\\]", tag)] == []


def test_local_links_lead_somewhere():
    wrong = []
    for path, text in texts():
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", text):
            file = target.partition("#")[0]
            if file and "://" not in target and not (path.parent / file).exists():
                wrong.append(f"{name(path)}: {target}")
    assert wrong == []


# Commands and numbers that stand in more than one place


def readme_commands(language: str) -> list[str]:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_ci_runs_the_readmes_words():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    command = re.search(r"^TEST_COMMAND='(.*)'$", script, flags=re.MULTILINE)[1]
    assert command in readme_commands("bash")
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_readmes_commands_name_what_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = README + "".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    for extras in re.findall(r'-e "\.\[([a-z,]+)\]"', text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    from wmlearn.cli import COMMANDS

    lines = [line for line in readme_commands("bash") if line.startswith("wmlearn ")]
    assert lines and {line.split()[1] for line in lines} <= set(COMMANDS)


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, flags=re.MULTILINE)[1] == wmlearn.__version__


# What must not be in the tree

_HOMES = re.compile(r"/(home|Users)/\w|/(root)/|[A-Z]:\\+Users\\")


def test_no_path_of_somebodys_machine():
    wrong = []
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        # in a notebook also the temporary folders that warnings and tracebacks print
        found = _HOMES.search(text) or (path in NOTEBOOKS and re.search(r"/tmp/\w", text))
        if found:
            wrong.append(f"{name(path)}: ...{text[found.start() : found.end() + 40]!r}")
    assert wrong == []


def test_checkpoints_are_small():
    sizes = {path: path.stat().st_size for path in FILES if (ROOT / "assets") in path.parents}
    folders: dict[Path, int] = {}
    for path, size in sizes.items():
        folders[path.parent] = folders.get(path.parent, 0) + size
    heavy = [
        name(folder)
        for folder, size in folders.items()
        if folder.parent == ROOT / "assets/checkpoints" and size > 12 * MEGABYTE
    ]
    assert heavy == []
    assert sum(sizes.values()) < 150 * MEGABYTE


def test_no_widget_styles_what_another_widget_named():
    """All style sheets apply to a whole notebook: a shared class name moves the other's parts."""
    owners: dict[str, set[str]] = {}
    for sheet in sorted((ROOT / "wmlearn").rglob("*.css")):
        for name in set(re.findall(r"\.(wm-[a-z-]+)", sheet.read_text(encoding="utf-8"))):
            owners.setdefault(name, set()).add(sheet.name)
    assert len(owners) > 20
    assert {name: sheets for name, sheets in owners.items() if len(sheets) > 1} == {}
