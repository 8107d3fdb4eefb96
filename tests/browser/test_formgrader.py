"""Formgrader, in JupyterLab in headless Chromium, shows the course that ``wmlearn teach`` made."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

import pytest
from jupyter_browser import CHROMIUM_FLAGS, find_chromium, jupyterlab
from places import ROOT

from wmlearn.grading.course import CONFIG, Course

SOURCE = ROOT / "notebooks/exercises/04_diamond.ipynb"
NAME = "04_diamond"


@pytest.mark.skipif(
    sys.platform != "linux"
    or find_chromium() is None
    or not all(map(importlib.util.find_spec, ("nbgrader", "playwright", "jupyterlab"))),
    reason="nbgrader, playwright, JupyterLab and Chromium are needed",
)
def test_formgrader_shows_the_released_assignment_and_the_points(tmp_path):
    from playwright.sync_api import expect, sync_playwright

    # An instructor starts JupyterLab in the course's folder; here the server starts one above.
    (exchange := tmp_path / "exchange").mkdir()
    exchange.chmod(0o777)
    settings = CONFIG.format(name="course", root=str(tmp_path / "notebooks"))
    settings += f"c.Exchange.root = {str(exchange)!r}\n"
    (tmp_path / "nbgrader_config.py").write_text(settings)
    with jupyterlab(tmp_path) as address, sync_playwright() as playwright:
        course = Course(tmp_path / "notebooks")
        shutil.copy(tmp_path / "nbgrader_config.py", course.root)
        course.release(SOURCE)
        assert course.api().release_assignment(NAME)["success"]  # into the hub's exchange
        for student, file in (("ada", "source"), ("bob", "release")):
            folder = course.root / "submitted" / student / NAME
            folder.mkdir(parents=True)
            shutil.copy(course.root / file / NAME / f"{NAME}.ipynb", folder)
        course.grade(NAME, jobs=2, say=lambda text: None, no_sandbox=True)
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        base, _, query = address.partition("/lab/")
        token = query.rpartition("token=")[2]
        page.goto(f"{base}/lab?reset&token={token}")
        ready = "() => window.jupyterapp?.commands.hasCommand('nbgrader:open-formgrader')"
        page.wait_for_function(ready, timeout=120_000)
        page.evaluate("() => { jupyterapp.commands.execute('nbgrader:open-formgrader'); }")
        frame = page.frame_locator("iframe").first
        row = frame.locator("tr", has_text=NAME)
        expect(row).to_be_visible(timeout=60_000)
        expect(row).to_contain_text("released", timeout=60_000, ignore_case=True)
        if folder := os.environ.get("WMLEARN_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/formgrader.png")
        page.goto(f"{base}/formgrader/gradebook/{NAME}/{NAME}?token={token}")
        expect(page.get_by_text("Submission #1")).to_be_visible(timeout=60_000)
        page.goto(f"{base}/formgrader/manage_students/ada?token={token}")
        expect(page.locator("tr", has_text=NAME)).to_contain_text("22 / 25", timeout=60_000)
        if folder := os.environ.get("WMLEARN_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/formgrader-ada.png")
        chromium.close()
