"""The map of the course: complete, self-contained, and usable by mouse and by keyboard."""

from __future__ import annotations

import re

import pytest
from jupyter_browser import CHROMIUM_FLAGS, find_chromium
from places import ROOT

from wmlearn import course, viz


def test_the_picture_uses_the_colors_of_the_figures():
    picture = (ROOT / "wmlearn/course/loop.svg").read_text(encoding="utf-8")
    assert set(re.findall(r"#[0-9a-f]{6}", picture)) == {viz.REAL, viz.DREAM, viz.NEUTRAL}


def test_the_map_shows_every_system_once_and_asks_nothing_of_the_network():
    page = course.world_map().data["text/html"]
    for system in course.SYSTEMS:
        assert page.count(f">{system.title}</button>") == 1
        assert f"| [{system.title}]({system.link}) |" in repr(course.table())
    assert len(course.SYSTEMS) == page.count("<section hidden>") == 14
    assert not re.search(r"\b(src|@import|fetch|url)\b\s*[=(]", page)


def test_the_map_puts_a_system_into_its_square():
    places = course._places()
    assert len(set(places.values())) == len(places)
    for system in course.SYSTEMS:
        column, row = places[system.title]
        assert list(course.SPACES)[int(column)] == system.space
        if len(system.supervision) == 1:
            assert list(course.SUPERVISION)[int(row)] == system.supervision[0]


def test_chapters_are_called_planned_until_they_are_there():
    for system in course.SYSTEMS:
        there = (ROOT / f"notebooks/{system.chapter}.ipynb").is_file()
        assert ("planned" in course._chapter(system)) != there


@pytest.fixture(scope="module")
def page():
    """A page with the map, in a browser without any network."""
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        page = browser.new_context(offline=True).new_page()
        page.set_content(course.world_map().data["text/html"])
        yield page
        browser.close()


def shown(page) -> list[str]:
    """Names on the cards that can be seen."""
    return [
        text.split("\n")[0].split(" ")[0] for text in page.locator("h4:visible").all_inner_texts()
    ]


def test_hover_shows_a_card_and_leaving_takes_it_back(page):
    page.get_by_role("button", name="Sora").click()
    page.get_by_role("button", name="Cosmos").hover()
    assert shown(page) == ["Cosmos"]
    page.mouse.move(0, 0)
    assert shown(page) == ["Sora"]


def test_the_arrow_keys_walk_over_the_map(page):
    page.get_by_role("button", name="DIAMOND").focus()
    walk = []
    for key in ("Down", "Down", "Down", "Right", "Right", "Up", "Left"):
        page.keyboard.press(f"Arrow{key}")
        walk.append(page.evaluate("document.activeElement.textContent"))
        assert shown(page) == walk[-1].split(" ")[:1]
        assert page.locator("[aria-pressed=true]").all_inner_texts() == walk[-1:]
    assert walk[:3] == ["GameNGen", "UniSim", "Sora"]
    spaces = {system.title: system.space for system in course.SYSTEMS}
    assert [spaces[name] for name in walk[2:]] == [
        "pixels", "tokens", "embeddings", "embeddings", "tokens",
    ]  # fmt: skip


def test_every_system_is_reached_with_the_tab_key(page):
    page.evaluate("document.activeElement.blur()")
    page.get_by_role("button", name="DIAMOND").focus()
    reached = {"DIAMOND"}
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent"))
    assert {system.title for system in course.SYSTEMS} <= reached
