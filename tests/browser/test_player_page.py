"""The player's page: a kernel that goes, a theme that changes, and a telephone."""

from __future__ import annotations

import base64

import pytest
from jupyter_browser import jupyterlab, open_notebook, run_all, write_notebook
from play_fakes import SquareEnv, SquareWorld
from test_browser import PLAY_SQUARE, PLAYER, SAY_WORDS

from wmlearn.player import PlaySession
from wmlearn.player.page import script, styles
from wmlearn.player.widget import poster

GONE = "The kernel was restarted or has ended: run this cell again."
ACTIONS = ("left", "right", "shoot", "jump")
SHOW = """async ([code, config, poster]) => {
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const { default: widget } = await import(address);
    const bytes = Uint8Array.from(atob(poster), (letter) => letter.charCodeAt(0));
    const values = { config, poster: new DataView(bytes.buffer) };
    window.sent = [];
    window.heard = {};
    window.model = {
        comm_live: true,
        get: (name) => values[name],
        send: (message) => sent.push(message),
        on: (name, call) => { heard[name] = call; },
        off: (name) => { delete heard[name]; },
    };
    window.leave = widget.render({ model, el: document.querySelector("#here") });
}"""


@pytest.fixture
def shown(browser):
    """A page with the player and a model that only takes notes; made by a function."""
    pages = []

    def show(**options):
        context = browser.new_context(**options)
        page = context.new_page()
        pages.append(context)
        page.set_content(
            "<meta name=viewport content='width=device-width'>"
            "<style>body { margin: 8px }</style><div id=here></div>"
        )
        page.add_style_tag(content=styles(PLAYER / "player.css"))
        config = {"shape": [64, 64], "real": True, "fps": 30, "width": 256, "used": []}
        config["actions"] = [
            {"name": name, "key": "Space", "index": i} for i, name in enumerate(ACTIONS)
        ]
        picture = base64.b64encode(poster(PlaySession(SquareWorld(), SquareEnv()).view)).decode()
        page.evaluate(SHOW, [script(PLAYER / "forms.js", PLAYER / "player.js"), config, picture])
        page.wait_for_selector(".wm-player[data-poster]")
        return page

    yield show
    for context in pages:
        context.close()


def test_on_a_telephone_every_key_is_in_reach_of_a_finger(shown):
    page = shown(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    bottom = page.locator(".wm-stage").bounding_box()
    for name in ACTIONS:
        box = page.locator(".wm-action", has_text=name).bounding_box()
        assert box["height"] >= 44 and box["width"] >= 44, name
        assert box["y"] + box["height"] <= 780 and box["x"] + box["width"] <= 390, name
        assert box["y"] >= bottom["y"] + bottom["height"]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.evaluate(
        """heard["msg:custom"]({ type: "state", playing: true, closed: false, note: "" })"""
    )
    page.evaluate(
        """() => {
            const node = document.querySelectorAll(".wm-action")[2];
            const touch = { pointerType: "touch", bubbles: true, button: 0 };
            node.dispatchEvent(new PointerEvent("pointerdown", touch));
            window.menu = node.dispatchEvent(new Event("contextmenu", { cancelable: true }));
        }"""
    )
    assert page.evaluate("sent.at(-1)") == {"type": "keys", "pressed": ["action:2"]}
    assert page.evaluate("menu") is False, "a finger that rests opens a menu"
    page.evaluate(
        "document.querySelectorAll('.wm-action')[2].dispatchEvent(new Event('pointerup'))"
    )
    assert page.evaluate("sent.at(-1)") == {"type": "keys", "pressed": []}


LABEL = """() => {
    const canvas = document.querySelector(".wm-chart");
    const { data } = canvas.getContext("2d").getImageData(0, 0, 22, canvas.height);
    let best = [0, 0, 0, 0];
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > best[3]) best = Array.from(data.slice(i, i + 4));
    }
    return best;
}"""


def test_the_chart_s_labels_follow_the_theme_while_the_game_stands_still(shown):
    page = shown(viewport={"width": 700, "height": 600})
    variables = (
        "document.querySelector('#here').style.setProperty('--jp-content-font-color2', '{}')"
    )
    for color, bright in (("rgb(0, 0, 0)", False), ("rgb(255, 255, 255)", True)):
        page.evaluate(variables.format(color))
        page.wait_for_timeout(1500)
        red, _, _, alpha = page.evaluate(LABEL)
        assert alpha > 60 and (red > 200) == bright, color


@pytest.mark.parametrize("how", ["model.comm_live = false; heard['comm_live_update']()",
                                 "model.send = () => { throw Error('closed') };"
                                 "document.querySelector('.wm-button').click()"])  # fmt: skip
def test_a_kernel_that_is_gone_is_said(shown, how):
    page = shown(viewport={"width": 700, "height": 600})
    page.evaluate(how)
    page.wait_for_timeout(400)
    assert page.locator(".wm-status").text_content() == GONE
    assert "run the cell again" in page.locator(".wm-prompt").text_content()
    before = page.evaluate("sent.length")
    page.locator(".wm-stage").click()
    assert page.evaluate("sent.length") == before, "it still writes to a kernel that is gone"


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    pytest.importorskip("jupyterlab")
    folder = tmp_path_factory.mktemp("lab")
    with jupyterlab(folder) as address:
        yield folder, address


COUNT = "sum(t.name == 'wmlearn-play' for t in __import__('threading').enumerate())"


def test_a_cell_that_is_run_again_ends_its_old_thread_and_a_restart_is_said(browser, lab):
    folder, address = lab
    cells = [PLAY_SQUARE, PLAY_SQUARE.replace("player", "second"), SAY_WORDS, f"print({COUNT})"]
    write_notebook(folder / "notebooks" / "again.ipynb", cells)
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    open_notebook(page, address.format("again.ipynb"))
    for _ in range(3):
        run_all(page)
        page.wait_for_timeout(500)
        page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status"
            " === 'idle'",
            timeout=60_000,
        )
    page.wait_for_selector(".jp-OutputArea-output pre", timeout=30_000)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-OutputArea-output pre')].some("
        "node => node.textContent.trim() === '2')",
        timeout=30_000,
    )
    page.evaluate(
        "() => jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()"
    )
    page.wait_for_function(
        "(words) => [...document.querySelectorAll('.wm-status')].filter("
        "node => node.textContent === words).length === 2"
        " && document.querySelector('.wm-text-status').textContent === words",
        arg=GONE,
        timeout=10_000,
    )
    page.close()
