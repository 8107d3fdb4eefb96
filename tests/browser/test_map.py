"""The map of the course in a real browser: by mouse, by arrow keys, by Tab."""

from __future__ import annotations

import pytest

from wmlearn import course


@pytest.fixture(scope="module")
def page(browser):
    """A page with the map, in a browser without any network."""
    page = browser.new_context(offline=True).new_page()
    page.set_content(course.world_map().data["text/html"])
    return page


def shown(page) -> list[str]:
    """Names on the cards that can be seen."""
    return [
        text.split("\n")[0].split(" ")[0] for text in page.locator("h4:visible").all_inner_texts()
    ]


def test_hover_shows_a_card_and_leaving_takes_it_back(page):
    page.get_by_role("button", name="Sora").click()
    page.get_by_role("button", name="Cosmos", exact=True).hover()
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
    places = course._places()
    pixels = sorted((row, title) for title, (column, row) in places.items() if column < 1)
    assert walk[:3] == [title for _, title in pixels[1:4]]
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
