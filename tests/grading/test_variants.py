"""A course's own parameters and hidden seeds: its solutions pass, the published ones do not."""

from __future__ import annotations

import tomllib

import pytest
from places import ROOT

from wmlearn.grading.releasing import read_notebook, split_hidden
from wmlearn.grading.variants import make_variant

SOURCES = sorted((ROOT / "notebooks/exercises").glob("[0-9]*.ipynb"))
TABLES = [source for source in SOURCES if source.with_suffix(".variants.toml").is_file()]
SECRETS = ["a", "b", "c", "d", "e", "f"]


def code(notebook: dict, answers: dict | None = None) -> list[tuple[str, str, bool]]:
    """The code cells as (grade_id, source, is a test), answers from elsewhere if given."""
    found = []
    for cell in notebook["cells"]:
        meta = cell["metadata"]["nbgrader"]
        name, source = meta.get("grade_id", ""), cell["source"]
        if cell["cell_type"] != "code" or (not name and "show()" in source):
            continue
        if meta.get("solution") and answers is not None:
            source = answers[name]
        found.append((name, source, bool(meta.get("grade"))))
    return found


def failures(cells: list[tuple[str, str, bool]]) -> list[str]:
    names: dict = {"__name__": "notebook"}
    failed = []
    for name, source, test in cells:
        try:
            exec(source, names)
        except Exception as error:
            if not test:
                raise
            failed.append(f"{name}: {error}")
    return failed


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_hidden_seeds_differ_between_courses_and_stay_within_one(source):
    public = read_notebook(source)
    one, again = (make_variant(public, source, "one")[0] for _ in range(2))
    other = make_variant(public, source, "other")[0]
    assert one == again
    assert any("seed" in split_hidden(cell["source"])[1] for cell in public["cells"])
    for a, b, p in zip(one["cells"], other["cells"], public["cells"], strict=True):
        hidden = [split_hidden(cell["source"])[1] for cell in (a, b, p)]
        if "seed=" in hidden[2]:
            assert len(set(hidden)) == 3


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("source", TABLES, ids=lambda p: p.stem)
def test_a_variants_own_solution_passes_and_the_published_one_fails_everywhere(source, secret):
    public = read_notebook(source)
    variant, words = make_variant(public, source, secret)
    table = tomllib.loads(source.with_suffix(".variants.toml").read_text(encoding="utf-8"))
    assert len(words) == len(table) + 1
    assert failures(code(variant)) == []
    answers = {name: text for name, text, _ in code(public)}
    tests = [name for name, _, test in code(variant) if test]
    failed = failures(code(variant, answers))
    assert [text.split(":")[0] for text in failed] == tests
    assert all("<" + key + ">" not in text for key in ("value", "edge", "best") for text in failed)


def test_all_values_of_a_parameter_are_drawn_by_some_course():
    source = ROOT / "notebooks/exercises/04_diamond.ipynb"
    public = read_notebook(source)
    drawn = {make_variant(public, source, str(i))[1][0] for i in range(40)}
    assert len(drawn) == 4


def test_a_parameter_that_no_longer_fits_the_notebook_is_refused(tmp_path):
    source = tmp_path / "04_diamond.ipynb"
    source.write_text((ROOT / "notebooks/exercises/04_diamond.ipynb").read_text())
    table = source.with_suffix(".variants.toml")
    table.write_text('[a]\nsays = "a"\nvalues = [1]\n[a.replace]\n04-1-text = [["gone", "b"]]\n')
    with pytest.raises(ValueError, match="a: 04-1-text does not contain 'gone'"):
        make_variant(read_notebook(source), source, "x")
    table.write_text('[a]\nsays = "a"\nvalues = [1]\n[a.replace]\n04-9-text = [["gone", "b"]]\n')
    with pytest.raises(ValueError, match="no cell 04-9-text"):
        make_variant(read_notebook(source), source, "x")
