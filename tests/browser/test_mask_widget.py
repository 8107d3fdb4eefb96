"""The mask playground in a real browser: mouse, keys and buttons draw the mask."""

from __future__ import annotations

import json

import pytest
from places import ROOT

from wmlearn.player.page import script

PAGE = """<div id="here"></div><script type="module">
const code = %s;
const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
const widget = (await import(url)).default;
window.asked = [];
const model = {
  get: () => ({ frames: 2, size: [8, 8], grid: [1, 2, 2], clips: 2, width: 100,
                hidden: [0, 0, 0, 1], shades: [0.4, 1.2] }),
  send: (message) => window.asked.push(message),
  on: (_, handler) => { window.answer = handler; },
  off: () => {},
};
widget.render({ model, el: document.querySelector("#here") });
</script>"""


@pytest.fixture(scope="module")
def page(browser):
    """The playground's browser side over a kernel that only listens."""
    code = script(ROOT / "wmlearn/chapters/ch11_vjepa/mask.js")
    page = browser.new_page()
    page.set_content(PAGE % json.dumps(code).replace("</", "<\\/"))
    return page


def asked(page, count: int) -> list[dict]:
    page.wait_for_function("count => window.asked?.length >= count", arg=count, timeout=20_000)
    return page.evaluate("window.asked")


def test_mouse_keys_and_buttons_draw_the_mask(page):
    assert asked(page, 1)[-1]["hidden"] == [0, 0, 0, 1]
    page.evaluate(
        """() => window.answer({ type: "answer", id: 1, clip: 0, mean: 0.5, baseline: 1,
            places: [-1, -1, -1, 0.5] }, [new DataView(new ArrayBuffer(2 * 8 * 8 * 3))])"""
    )
    status = page.locator(".wm-mask-status").inner_text()
    assert "1 of 4 places hidden. Mean error 0.50" in status
    box = page.locator(".wm-mask-seen canvas").bounding_box()
    page.mouse.move(box["x"] + 25, box["y"] + 25)
    page.mouse.down()
    page.mouse.move(box["x"] + 75, box["y"] + 25)
    page.mouse.up()
    assert asked(page, 2)[-1]["hidden"] == [1, 1, 0, 1]  # a stroke covers what it crosses
    for key in ("ArrowDown", " "):  # from the last place of the stroke
        page.keyboard.press(key)
    assert asked(page, 3)[-1]["hidden"] == [1, 1, 0, 0]
    page.get_by_role("button", name="Invert").click()
    assert asked(page, 4)[-1]["hidden"] == [0, 0, 1, 1]
    page.get_by_role("button", name="Next clip").click()
    assert asked(page, 5)[-1]["clip"] == 1
