"""What the book says, without building it: symbols, terms, references, toys, films, figures."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from places import ROOT

pytest.importorskip("myst_nb")
sys.path.insert(0, str(ROOT / "book"))

from wmbook import cards, claims, films, flows, notation, places


def test_the_readmes_five_numbers_are_those_of_the_cards():
    from wmbook import results

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(
        r"^- \*\*(.+?)\*\*", text.partition("## Five numbers")[2], flags=re.MULTILINE
    )
    assert shown[:5] == [value for value, _, _ in results.five()]


def test_the_readme_has_a_row_with_a_picture_for_each_chapter():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in places.chapters():
        row = next(line for line in text.split("\n") if f"](notebooks/{path.name})" in line)
        picture = re.search(r'<img src="([^"]+)" width="\d+" alt="([^"]+)"', row)
        assert picture and (ROOT / picture[1]).is_file() and len(picture[2].split()) > 3, path.stem


def test_every_world_that_ships_is_compared_by_something():
    from wmbook import results

    table = results.comparison().split("\n")
    for name in cards.names():
        cells = next(line for line in table if f"`{name}`" in line).split(" | ")[1:5]
        assert set(cells) != {"–"}, f"book/rows.toml says nothing of {name}"


def test_every_line_of_rows_toml_finds_its_number():
    from wmbook import rows

    found = {(row["what"], label) for name in cards.names() for row in rows.of(name)
             for label in (None, *(label for label, _ in row["others"]))}  # fmt: skip
    shipped = {cards.card(name)["system"] for name in cards.names()}
    for row in rows._lines():
        if not shipped & set(row["systems"]):
            continue  # its system ships no checkpoint yet
        for label in (None, *(part[0] for part in row.get("beside", ()))):
            assert (row["what"], label) in found, f"no card has {row['value']!r}, {label}"


def test_horizons_without_a_gain_of_their_own_get_the_difference(monkeypatch):
    metrics = {"psnr 8 dream": {"value": 30.0, "low": 29.0, "high": 31.0},
               "psnr 8 copy": {"value": 26.0, "low": 25.0, "high": 27.0},
               "psnr 8 other actions": {"value": 27.5, "low": 26.0, "high": 28.0}}  # fmt: skip
    monkeypatch.setattr(cards, "names", lambda: ("a-world",))
    monkeypatch.setattr(cards, "card", lambda name: {"metrics": metrics})
    monkeypatch.setattr(cards, "evaluation", lambda name: None)
    for cached in (cards.horizons, cards._own_horizons):
        cached.cache_clear()
    try:
        assert cards.at("a-world", 8)["psnr_gain"] == {"value": 4.0}
        assert cards.control("a-world") == {8: {"delta": {"value": 2.5}}}
        assert [row[0] for row in cards.curve("a-world")] == [8]
    finally:
        for cached in (cards.horizons, cards._own_horizons):
            cached.cache_clear()


def test_colab_is_linked_once_the_project_has_an_address(monkeypatch, tmp_path):
    from wmbook import notebooks

    path = places.chapters()[0]
    source = path.relative_to(ROOT).as_posix()
    wanted = f"https://colab.research.google.com/github/a/b/blob/main/{source}"
    for address in ("", "https://github.com/a/b"):
        monkeypatch.setattr(places, "address", lambda address=address: address)
        text = notebooks.stage(path, source, tmp_path).read_text(encoding="utf-8")
        assert (wanted in text) == bool(address)


@pytest.mark.parametrize("path", places.chapters(), ids=lambda path: path.stem)
def test_one_symbol_one_meaning(path):
    """Every letter of a chapter's formulas is in the table, and every line of the table is used."""
    left, idle = notation.unexplained(path)
    assert left == [], f"book/notation.toml does not explain {left} of {path.stem}"
    assert idle == [], f"book/notation.toml gives {path.stem} symbols that it does not have: {idle}"


def test_no_symbol_stands_twice_in_the_table():
    symbols = [
        part.strip() for row in notation.table()["symbol"] for part in row["tex"].split(r",\ ")
    ]
    assert len(symbols) == len(set(symbols)) > 25


def test_glossary_has_each_term_once_in_order():
    text = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(
        r"^([^\s`#{].*)\n  \S", text.partition("```{glossary}")[2], flags=re.MULTILINE
    )
    assert terms == sorted(set(terms), key=lambda term: term.lower().replace("λ", "lambda"))
    assert len(terms) > 50


def test_terms_are_linked_in_prose_only():
    from wmbook.terms import link

    used: set[str] = set()
    text = "# PSNR here\n`PSNR` and $PSNR$, the PSNR of two dreams, [a policy](x.md), PSNR."
    assert link(text, used) == (
        "# PSNR here\n`PSNR` and $PSNR$, the {term}`PSNR <PSNR>` of two {term}`dreams <dream>`, "
        "[a policy](x.md), PSNR."
    )
    assert used == {"PSNR", "dream"}


def test_every_reference_can_be_found():
    """Each has an arXiv number or a DOI; the four that have neither name their makers' page."""
    text = (ROOT / "book/references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, flags=re.MULTILINE | re.DOTALL)
    assert len(entries) > 40
    neither = []
    for key, body in entries:
        arxiv, doi = re.search(r"eprint = \{(.*)\}", body), re.search(r"doi = \{(.*)\}", body)
        assert not arxiv or re.fullmatch(r"\d{4}\.\d{4,5}", arxiv[1]), key
        assert not doi or doi[1].startswith("10."), key
        if not arxiv and not doi:
            assert "url = {https://" in body, key
            neither.append(key)
    assert len(neither) == 4


@pytest.mark.parametrize(
    "path", sorted((ROOT / "book/prerequisites").glob("[!i]*.md")), ids=lambda p: p.stem
)
def test_the_toys_of_the_prerequisites_are_right(path):
    text = path.read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert code and all("assert" in block for block in code) and ":::{dropdown}" in text
    for block in code:
        exec(compile(block, str(path), "exec"), {})


def test_films_are_small_and_have_words():
    made = sorted(films.FOLDER.glob("*.mp4"))
    assert {path.stem for path in made} <= set(cards.names()) and len(made) >= 4
    for path in made:
        film = films.find(path.stem)
        assert path.stat().st_size <= 300_000 and path.with_suffix(".png").is_file()
        assert len(film["alt"].split()) > 15 and film["made_by"].startswith(
            "python tools/make_films.py"
        )


def test_every_system_has_a_figure_of_its_data_flow():
    from wmlearn.systems import SYSTEMS

    assert {entry.name for entry in SYSTEMS if entry.name} <= set(flows.FLOWS)
    for flow in flows.FLOWS.values():
        assert len(flow.alt.split()) > 25
        assert {end for a, b, _ in flow.arrows for end in (a, b)} == set(flow.boxes)


def test_figures_show_in_a_notebook_without_a_network():
    """They are plotly's own: JupyterLab draws them with the extension that plotly brings."""
    import plotly.io
    from wmbook import figures

    figure = figures.horizon_curves([(name, cards.curve(name)) for name in cards.evaluations()])
    bundle = plotly.io.renderers["plotly_mimetype"].to_mimebundle(figure.to_plotly_json())
    spec = bundle["application/vnd.plotly.v1+json"]
    assert len(spec["data"]) == 2 * len(cards.evaluations())
    extension = Path(sys.prefix, "share/jupyter/labextensions/jupyterlab-plotly/package.json")
    assert extension.is_file()


def test_links_are_rewritten_for_the_book():
    from wmbook.links import rewrite

    text = "[a](../notebooks/04_diamond.ipynb#x) `[b](c.md)` [d](../tests/book/test_site.py) "
    text += "![e f g](../assets/figures/start_here.png)"
    assert rewrite(text, "book/fidelity.md", "fidelity.md") == (
        "[a](chapters/04_diamond.ipynb#x) `[b](c.md)` d ![e f g](figures/start_here.png)"
    )


def test_every_claim_of_the_survey_is_taught_somewhere():
    rows = claims.claims()
    assert len(rows) == len({row["claim"] for row in rows}) == 52
    assert all(row["where"] for row in rows)


@pytest.mark.parametrize("row", claims.claims(), ids=lambda row: row["claim"][:40])
def test_a_claim_is_taught_where_the_list_says(row):
    """The heading is there, and the text under it holds the words."""
    for page, heading, words in row["where"]:
        found = claims.sections(page)
        assert heading in found, f"{page} has no heading {heading!r}"
        assert re.search(words, " ".join(found[heading].split())), f"{heading}: no {words!r}"


def test_a_claim_of_a_chapter_to_come_says_so():
    there = {path.stem for path in places.chapters()}
    coming = {row["chapter"] for row in claims.claims() if "chapter" in row} - there
    assert claims.markdown().count("still to come") == sum(
        row.get("chapter") in coming for row in claims.claims()
    )
