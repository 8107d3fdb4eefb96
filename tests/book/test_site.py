"""The book builds without a warning, asks nobody else for anything, and can be read by everybody.

The site is built once for all tests of this file, and each page is opened once in headless
Chromium, where everything about it is asked at the same time.
"""

from __future__ import annotations

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from jupyter_browser import CHROMIUM_FLAGS, find_chromium
from places import ROOT

pytest.importorskip("sphinx_book_theme")
pytest.importorskip("myst_nb")
sys.path.insert(0, str(ROOT / "book"))

from wmbook import cards, films, places

PHONE = 380


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The finished site, built as ``wmlearn book`` builds it."""
    out = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "wmlearn", "book", "--out", str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:] + result.stdout[-1000:]
    assert "WARNING" not in result.stderr + result.stdout
    return out / "site"


# --- what stands in the files -------------------------------------------------------------------


class Page(HTMLParser):
    """Links, anchors and pictures of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loads: list[str] = []
        self.nameless: list[str] = []  # pictures and films without words
        self.headings, self.inside = 0, False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.anchors |= {of[key] for key in ("id", "name") if of.get(key)}
        if tag == "a" and of.get("href"):
            self.links.append(of["href"])
        if tag in ("script", "img", "source", "video", "iframe", "link"):
            self.loads += [of[key] for key in ("src", "poster") if of.get(key)]
            if tag == "link" and of.get("rel") in ("stylesheet", "preload", "icon"):
                self.loads.append(of["href"])
        if (
            tag == "img"
            and len((of.get("alt") or "").split()) < 2
            and of.get("class", "").find("logo") < 0
        ):
            self.nameless.append(of.get("src", "?")[:80])
        if tag == "video" and len((of.get("aria-label") or "").split()) < 5:
            self.nameless.append("a film")
        if (of.get("role") == "img" or "wm-plot" in of.get("class", "").split()) and not of.get(
            "aria-label"
        ):
            self.nameless.append(f"<{tag} role=img>")
        self.inside |= tag == "article"
        self.headings += tag == "h1" and self.inside  # the theme repeats the title to print it


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    paths = [p for p in sorted(site.rglob("*.html")) if "_static" not in p.parts]
    return {path.relative_to(site).as_posix(): Page(path) for path in paths}


def test_every_chapter_exercise_and_system_has_a_page(pages):
    from wmlearn.systems import SYSTEMS

    expected = {f"chapters/{path.stem}.html" for path in places.chapters()}
    expected |= {f"exercises/{path.stem}.html" for path in places.exercises()}
    expected |= {f"systems/{entry.name}.html" for entry in SYSTEMS if entry.name}
    expected |= {
        f"{name}.html" for name in ("index", "results", "comparison", "glossary", "notation")
    }
    expected |= {"fidelity.html", "instructors.html", "references.html", "api/index.html"}
    assert expected <= set(pages)


def test_internal_links_and_anchors_resolve(pages, site):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            target, anchor = urldefrag(urljoin(name, link))
            target = unquote(target.partition("?")[0]) or name
            if not (site / target).is_file():
                broken.append(f"{name}: {link}")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                broken.append(f"{name}: {link} (no such anchor)")
    assert broken == []


def test_what_a_page_loads_lies_in_the_site(pages, site):
    wrong = []
    for name, page in pages.items():
        for link in page.loads:
            file = unquote(urldefrag(urljoin(name, link))[0].partition("?")[0])
            if re.match(r"(https?:)?//", link) or not (
                link.startswith("data:") or (site / file).is_file()
            ):
                wrong.append(f"{name}: {link[:100]}")
    assert wrong == []


def test_every_figure_has_words(pages):
    assert {name: page.nameless for name, page in pages.items() if page.nameless} == {}


def test_every_page_has_one_title(pages):
    found = {name: page.headings for name, page in pages.items() if name != "search.html"}
    own = {name: count for name, count in found.items() if count != 1}
    assert own == {}


def test_plotly_figures_have_a_table_behind_them(site):
    for name in ("results.html", "comparison.html", "tiers.html"):
        html = (site / name).read_text(encoding="utf-8")
        figures = re.findall(r'<figure class="wm-plotly">.*?</figure>', html, flags=re.DOTALL)
        assert figures, name
        for figure in figures:
            assert figure.count("<tr>") > 3 and "application/json" in figure


def test_the_site_is_small(site):
    total = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    vendored = sum(
        p.stat().st_size for p in (ROOT / "book/static/vendor").rglob("*") if p.is_file()
    )
    assert total < 40_000_000
    assert vendored < 8_000_000
    assert (ROOT / "book/static/vendor/mathjax/LICENSE").is_file()


def test_no_solution_is_shown(site):
    for path in (site / "exercises").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text and "BEGIN HIDDEN" not in text
        if path.stem != "index":
            assert "NotImplementedError" in text


def test_numbers_on_the_results_page_are_those_of_the_cards(site):
    html = (site / "results.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", html)
    for name in cards.evaluations():
        if name in cards.names():
            row = cards.at(name)
            assert str(cards.estimate(row["psnr"], "dB")) in text, name
    metrics = cards.card("vjepa2-ac-fetch")["metrics"]
    assert str(cards.estimate(metrics["reach"], "%", 0)) in text


def test_a_chapter_shows_the_films_of_what_it_plays(site):
    from wmlearn.systems import SYSTEMS

    for entry in SYSTEMS:
        page = site / f"chapters/{entry.chapter}.html"
        own = [n for n in cards.names() if entry.name and cards.card(n)["system"] == entry.name]
        shipped = [name for name in own if films.find(name)]
        if page.is_file() and shipped:
            assert f"films/{shipped[0]}.mp4" in page.read_text(encoding="utf-8"), entry.chapter
            assert f"films/{shipped[0]}.png" in (site / "index.html").read_text(encoding="utf-8")


def test_chapters_link_to_the_glossary_once_for_each_term(site):
    for path in places.chapters():
        html = (site / f"chapters/{path.stem}.html").read_text(encoding="utf-8")
        found = re.findall(r'href="\.\./glossary\.html#term-([^"]+)"', html)
        assert len(found) == len(set(found)) >= 3, path.stem


# --- what a browser sees ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(site))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        patience = 180_000  # a busy machine is slow, not wrong
        running = started.chromium.launch(
            executable_path=chromium, args=CHROMIUM_FLAGS, timeout=patience
        )
        new_context = running.new_context

        def patient(**options):
            context = new_context(**options)
            context.set_default_timeout(patience)
            return context

        running.new_context = patient
        yield running
        running.close()


AXE = """async ([everything, rules]) => {
  const context = everything ? document : { exclude: [
    ".bd-sidebar-primary", ".bd-sidebar-secondary", ".highlight", ".cell_output pre", "dt.sig",
    "mjx-container", ".wm-plot svg",
  ].map(s => [s]) };
  const only = rules ? { runOnly: rules } : {};
  const options = { preload: false, resultTypes: ["violations"], ...only };
  return (await axe.run(context, options)).violations
    .filter(v => ["serious", "critical"].includes(v.impact))
    .map(v => `${v.id}: ` + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | "));
}"""
WHOLE = {  # what all pages share (navigation, code, formulas, signatures) is looked at on these
    "index.html",
    "results.html",
    "chapters/00_start_here.html",
    "prerequisites/attention.html",
    "exercises/12_vjepa2_ac.html",
    "api/wmlearn.metrics.html",
}


@pytest.fixture(scope="module")
def looks(address, pages, browser) -> dict[str, dict]:
    """What was found on each page: foreign requests, errors, axe's violations, a phone's width."""
    axe = pytest.importorskip("axe_playwright_python")
    playwright = pytest.importorskip("playwright.sync_api")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    found = {}
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    tab = context.new_page()
    seen: dict[str, list[str]] = {"foreign": [], "errors": []}
    tab.on(
        "request",
        lambda r: (
            seen["foreign"].append(r.url)
            if not r.url.startswith((address, "data:", "blob:"))
            else 0
        ),
    )
    tab.on("pageerror", lambda error: seen["errors"].append(str(error)))
    tab.on(
        "response", lambda r: seen["errors"].append(f"{r.status} {r.url}") if r.status >= 400 else 0
    )
    for name in pages:
        seen["foreign"], seen["errors"] = [], []
        tab.goto(address + name, wait_until="load")
        if tab.locator(".wm-plot").count():
            tab.wait_for_selector(".wm-plot[data-drawn]")
        tab.evaluate("() => window.MathJax?.startup?.promise")
        tab.evaluate(script)
        # all pages of the API are laid out by one template: three of them stand for it
        asked = not name.startswith("api/") or name in (
            *WHOLE,
            "api/index.html",
            "api/wmlearn.data.html",
        )
        light = tab.evaluate(AXE, [name in WHOLE, None]) if asked else []
        tab.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }")
        tab.wait_for_timeout(50)
        rules = ["color-contrast", "link-in-text-block"]
        dark = tab.evaluate(AXE, [name in WHOLE, rules]) if asked else []
        tab.set_viewport_size({"width": PHONE, "height": 800})
        try:  # figures are drawn anew for the narrow page
            narrow = f"() => document.documentElement.scrollWidth <= {PHONE}"
            tab.wait_for_function(narrow, timeout=10_000)
        except playwright.TimeoutError:
            pass
        width = tab.evaluate("() => document.documentElement.scrollWidth")
        tab.set_viewport_size({"width": 1280, "height": 900})
        found[name] = dict(seen, light=light, dark=dark, width=width)
    context.close()
    return found


def test_no_request_leaves_the_site(looks):
    assert {name: page["foreign"] for name, page in looks.items() if page["foreign"]} == {}


def test_no_script_fails_and_nothing_is_missing(looks):
    assert {name: page["errors"] for name, page in looks.items() if page["errors"]} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(looks, theme):
    assert {name: page[theme] for name, page in looks.items() if page[theme]} == {}


def test_a_phone_shows_every_page_without_scrolling_sideways(looks):
    assert {name: page["width"] for name, page in looks.items() if page["width"] > PHONE} == {}


WORDS = {  # what is searched for, and a page that is among the first five found
    "preconditioning": "chapters/04_diamond",
    "latent action": "chapters/09_genie",
    "collapse": "chapters/11_vjepa",
    "cross-entropy method": "glossary",
    "PSNR": "prerequisites/metrics",
    "Gradescope": "instructors",
    "foundation": "fidelity",
    "checkpoint": "checkpoints",
    "notation": "notation",
    "ImageGoalPlanner": "api/wmlearn.agents",
}


def test_search_finds_the_right_page(address, browser):
    tab = browser.new_context().new_page()
    missed = {}
    for words, page in WORDS.items():
        tab.goto(f"{address}search.html?q={words}")
        tab.wait_for_selector("#search-results ul.search li a")
        tab.wait_for_function(
            "() => !document.querySelector('#search-progress')?.textContent.includes('Searching')"
        )
        first = tab.eval_on_selector_all(
            "#search-results ul.search > li > a",
            "all => all.slice(0, 8).map(a => a.getAttribute('href'))",
        )
        if not any(page in link for link in first):
            missed[words] = first
    tab.close()
    assert missed == {}


def test_a_reader_with_a_keyboard_gets_everywhere(address, browser):
    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    tab.goto(address + "index.html")
    stops = []
    for _ in range(45):
        tab.keyboard.press("Tab")
        stops.append(
            tab.evaluate(
                """() => { const e = document.activeElement, r = e.getBoundingClientRect();
                const s = getComputedStyle(e);
                const text = e.textContent || e.getAttribute('aria-label') || '';
                const seen = s.outlineStyle !== 'none' || s.boxShadow !== 'none';
                return [e.tagName, text.trim().slice(0, 40), seen || e.tagName === 'VIDEO']; }"""
            )
        )
    names = [name for _, name, _ in stops]
    assert "Skip to main content" in names[0]
    assert any("Play in one minute" in name for name in names)
    assert [stop for stop in stops if not stop[2]] == [], "focus cannot be seen"
    # the map is walked with the arrow keys
    tab.locator(".wm-map .field button").first.focus()
    before = tab.evaluate("() => document.activeElement.textContent")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("() => document.activeElement.textContent") != before
    tab.close()


def test_figures_follow_the_theme_and_films_play(address, browser):
    tab = browser.new_context(color_scheme="light").new_page()
    tab.goto(address + "results.html")
    tab.wait_for_selector(".wm-plot[data-drawn=light]")
    color = "() => getComputedStyle(document.querySelector('.wm-plot .xtitle')).fill"
    light = tab.evaluate(color)
    tab.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }")
    tab.wait_for_selector(".wm-plot[data-drawn=dark]")
    assert tab.evaluate(color) != light
    tab.goto(address + "index.html")
    tab.evaluate("() => document.querySelector('video').play()")
    tab.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    tab.close()


def test_the_print_style_leaves_the_text_alone(address, browser):
    tab = browser.new_context().new_page()
    tab.goto(address + "chapters/04_diamond.html")
    tab.emulate_media(media="print")
    display = tab.evaluate(
        """() => [".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-article"]
        .map((part) => getComputedStyle(document.querySelector(part)).display)"""
    )
    assert display[:2] == ["none", "none"] and display[2] != "none"
    tab.close()


# --- the command --------------------------------------------------------------------------------


def test_the_site_is_served(site):
    from wmlearn.cli import book

    handler = functools.partial(book._Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=5) as answer:
            assert b"World models" in answer.read()
        server.shutdown()


def test_a_missing_part_is_named(monkeypatch):
    from wmlearn.cli import book

    monkeypatch.setattr(book, "_is_there", lambda name: name != "myst_nb")
    with pytest.raises(ModuleNotFoundError, match=r"myst_nb.*\.\[book\]"):
        book.run(book.argparse.Namespace(out=None, open=False, port=0, fresh=False))
