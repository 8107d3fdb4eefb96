"""The map of the course: complete, self-contained and true to the registry."""

from __future__ import annotations

import re

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
    assert len(course.SYSTEMS) == page.count("<section hidden>") >= 14
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
