"""The player in a real browser: JupyterLab in headless Chromium, with keys and clicks."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path

import pytest
from jupyter_browser import (
    cell_milliseconds,
    jupyterlab,
    open_notebook,
    run_all,
    save,
    write_notebook,
)
from play_fakes import STRIDE, SquareEnv, SquareWorld

import wmlearn
from wmlearn.player import PlaySession
from wmlearn.player.page import script, styles
from wmlearn.player.widget import poster

PLAY_SQUARE = """\
import wmlearn as wm
from play_fakes import KEYS, NAMES, SquareEnv, SquareWorld
player = wm.play(SquareWorld(), SquareEnv(), keys=KEYS, names=NAMES)
player"""
PLAY_DOOM = """\
import wmlearn as wm
player = wm.play("diamond-doom-basic", env="doom/basic", sampler={"num_steps": 1})
player"""
SAY_WORDS = """\
from lamp_world import Lamp
from wmlearn.player import text_box
text_box(Lamp(), examples=("dark",))"""
DRAW_LINES = """\
from wmlearn import viz
viz.lines({"dream": viz.Line([30, 20.5, 10], [28, 19, 9], [31, 22, 12]),
           "copy": viz.Line([9, 8, 7], color=viz.NEUTRAL)}, xlabel="steps", ylabel="dB")"""
PLAYER = Path(wmlearn.__file__).parent / "player/js"


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    pytest.importorskip("jupyterlab")
    folder = tmp_path_factory.mktemp("lab")
    with jupyterlab(folder) as address:
        yield folder, address


def open_and_run(browser, lab, name: str, *cells: str, timeout: float):
    """A page with a notebook of these cells, all of them run, and a player that has drawn."""
    folder, address = lab
    write_notebook(folder / "notebooks" / name, cells)
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    open_notebook(page, address.format(name))
    run_all(page)
    page.wait_for_selector(".wm-player[data-drawn]", timeout=timeout)
    return page


@pytest.fixture(scope="module")
def square_notebook(browser, lab):
    page = open_and_run(browser, lab, "square.ipynb", PLAY_SQUARE, timeout=60_000)
    yield page
    page.close()


@pytest.fixture
def square(square_notebook):
    """The player of the square, paused at the start of a game."""
    page = square_notebook
    if is_playing(page):
        button(page, "Pause").click()
        page.wait_for_selector(".wm-player:not(.wm-playing)")
    button(page, "Restart").click()
    page.wait_for_selector(".wm-player[data-step='0']")
    return page


COLUMN = """(side) => {
    const canvas = document.querySelector(`.wm-${side} canvas`);
    const row = canvas.getContext('2d').getImageData(0, 32, canvas.width, 1).data;
    for (let x = 0; x < canvas.width; x++) if (row[4 * x] > 180) return x;
    return -1;
}"""


def column(page, side: str) -> int:
    """The first column of the bright square on a side's canvas."""
    return page.evaluate(COLUMN, side)


def settled_column(page, side: str) -> int:
    """Where the square stands after the last key; fails if it moves on while the game runs."""
    return page.evaluate(
        f"""async (side) => {{
            const column = {COLUMN};
            const step = () => Number(document.querySelector('.wm-player').dataset.step);
            const end = performance.now() + 20000;
            let from = step(), place = column(side);
            while (step() - from < 6) {{  // six steps in one place
                await new Promise(requestAnimationFrame);
                if (column(side) !== place) [from, place] = [step(), column(side)];
                if (performance.now() > end) throw Error('it does not stop: a key is held');
            }}
            return place;
        }}""",
        side,
    )


def wait_for_column(page, side: str, wanted: int) -> None:
    for _ in range(200):
        if column(page, side) == wanted:
            return
        page.wait_for_timeout(50)
    assert column(page, side) == wanted


def screenshot(page, name: str, folder: Path) -> None:
    """Keeps a picture of the player for a person to look at."""
    folder = Path(os.environ.get("WMLEARN_SCREENSHOTS", folder))
    page.locator(".wm-player").screenshot(path=folder / f"{name}.png")


def button(page, name: str):
    return page.locator(".wm-player").get_by_role("button", name=name)


def focused(page) -> str:
    return page.evaluate(
        "() => document.activeElement.className + ' ' + document.activeElement.textContent"
    )


def is_playing(page) -> bool:
    return page.locator(".wm-player.wm-playing").count() == 1


def test_running_a_notebook_does_not_start_the_game(square_notebook):
    page = square_notebook
    assert not is_playing(page) and page.locator(".wm-prompt").is_visible()
    drawn = page.locator(".wm-player").get_attribute("data-drawn")
    page.wait_for_timeout(300)
    assert page.locator(".wm-player").get_attribute("data-drawn") == drawn == "1"


def test_a_plotly_figure_is_drawn_without_a_network(browser, lab):
    """In JupyterLab, where only its own server is reached; points answer; the table lies below."""
    folder, address = lab
    write_notebook(folder / "notebooks" / "lines.ipynb", [DRAW_LINES])
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    open_notebook(page, address.format("lines.ipynb"))
    run_all(page)
    page.wait_for_selector(".js-plotly-plot .scatterlayer .trace", timeout=60_000)
    assert page.locator(".js-plotly-plot .legendtext").all_text_contents() == ["dream", "copy"]
    page.locator(".js-plotly-plot .nsewdrag").first.hover()
    page.wait_for_selector(".js-plotly-plot .hoverlayer text", timeout=20_000)
    page.get_by_text("The figure in words and numbers").click()
    assert page.get_by_role("cell", name="20.5 [19, 22]").is_visible()
    here = re.compile(r"(data|blob):|\w+://(127\.0\.0\.1|localhost)\b")
    outside = [url for url in asked if not here.match(url)]
    assert outside == []
    page.close()


def test_a_page_without_kernel_shows_the_first_frame(browser, tmp_path):
    """The widget's file in a bare page, with a model that nobody answers; narrow and dark."""
    view = PlaySession(SquareWorld(), SquareEnv()).view
    page = browser.new_page(viewport={"width": 400, "height": 620}, color_scheme="dark")
    page.set_content("<style>body { background: #14171c; margin: 8px }</style><div id=here></div>")
    page.add_style_tag(content=styles(PLAYER / "player.css"))
    config = {"shape": [64, 64], "real": True, "fps": 30, "width": 256, "used": ["Space"]}
    config["actions"] = [{"name": "shoot", "key": "Space", "index": 3}]
    page.evaluate(
        """async ([code, config, poster]) => {
            const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
            const { default: widget } = await import(address);
            const bytes = Uint8Array.from(atob(poster), (letter) => letter.charCodeAt(0));
            const values = { config, poster: new DataView(bytes.buffer) };
            const model = { get: (name) => values[name], send() {}, on() {}, off() {} };
            window.leave = widget.render({ model, el: document.querySelector("#here") });
        }""",
        [
            script(PLAYER / "forms.js", PLAYER / "player.js"),
            config,
            base64.b64encode(poster(view)).decode(),
        ],
    )
    page.wait_for_selector(".wm-player[data-poster]")
    assert column(page, "real") == column(page, "dream") == 24
    overflow = "() => document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0, "the player must fit a narrow page"
    assert "Run this cell" in page.locator(".wm-prompt").text_content()
    screenshot(page, "narrow-no-kernel", tmp_path)
    page.evaluate("() => window.leave()")
    page.close()


def test_keys_move_the_picture(square, tmp_path):
    page = square
    begin = column(page, "real")
    assert begin == column(page, "dream") == 24
    screenshot(page, "light-start", tmp_path)

    # single steps while paused: with the on-screen buttons, then with the keyboard
    button(page, "right").click()
    wait_for_column(page, "real", begin + STRIDE)
    page.locator(".wm-stage").focus()
    page.keyboard.down("ArrowLeft")
    page.keyboard.press(".")
    page.keyboard.up("ArrowLeft")
    wait_for_column(page, "dream", begin)

    # play: one tap is one or more steps, a held key goes on until it is released
    page.keyboard.press("Enter")
    page.wait_for_selector(".wm-playing")
    page.keyboard.down("ArrowRight")
    page.wait_for_function(f"(place) => ({COLUMN})('real') !== place", arg=begin)
    page.keyboard.up("ArrowRight")
    moved = settled_column(page, "real")
    assert column(page, "dream") == moved
    screenshot(page, "light-playing", tmp_path)

    # an on-screen button is held like a key
    button(page, "left").hover()
    page.mouse.down()
    page.wait_for_function(f"(place) => ({COLUMN})('real') !== place", arg=moved)
    page.mouse.up()
    settled_column(page, "real")

    # Escape pauses and lets go of the focus; a click on the picture plays again
    page.locator(".wm-stage").focus()
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('.wm-playing')")
    assert "wm-stage" not in focused(page)
    page.locator(".wm-stage").click()
    page.wait_for_selector(".wm-playing")
    assert "wm-stage" in focused(page)

    # a hidden tab pauses
    page.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
        delete document.hidden;
    }""")
    page.wait_for_selector(".wm-player:not(.wm-playing)")
    page.locator(".wm-stage").click()
    page.wait_for_selector(".wm-playing")

    # leaving the game releases its keys
    page.keyboard.down("ArrowRight")
    page.locator(".wm-stage").blur()
    settled_column(page, "real")
    page.keyboard.up("ArrowRight")


def test_a_restart_marks_the_meter_and_wipes_nothing(square):
    page = square

    def facts():
        return page.evaluate("() => ({ ...document.querySelector('.wm-chart').dataset })")

    page.locator(".wm-stage").focus()
    for _ in range(3):
        before = int(page.evaluate("() => document.querySelector('.wm-player').dataset.step"))
        page.keyboard.press(".")
        page.wait_for_selector(f".wm-player[data-step='{before + 1}']")
    before = facts()
    button(page, "Restart").click()
    page.wait_for_selector(".wm-player[data-step='0']")
    after = facts()
    assert int(after["games"]) == int(before["games"]) + 1
    assert int(after["steps"]) == int(before["steps"]) + 1 > 3  # the mark, and all that was there


def test_keyboard_alone_reaches_everything(square, tmp_path):
    page = square
    page.evaluate(
        "() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.locator(".wm-stage").focus()
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => document.activeElement.ariaLabel ?? document.activeElement.textContent"
            )
        )
    assert reached == [
        "Play", "Step", "Restart", "Save GIF", "Steps per second",
        "no-op", "left, key ArrowLeft", "right, key ArrowRight", "shoot, key Space",
    ]  # fmt: skip
    button(page, "Restart").focus()
    page.keyboard.press("Enter")
    button(page, "right").focus()
    page.keyboard.press("Enter")
    wait_for_column(page, "real", 24 + STRIDE)
    page.wait_for_timeout(800)
    screenshot(page, "dark-focus", tmp_path)

    with page.expect_download() as download:
        button(page, "Save GIF").click()
    assert Path(download.value.path()).read_bytes()[:6] == b"GIF89a"
    button(page, "Play").focus()
    page.keyboard.press("Space")
    page.wait_for_selector(".wm-playing")
    page.wait_for_timeout(1500)
    screenshot(page, "dark-playing", tmp_path)
    page.evaluate(
        "() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})"
    )


def check_that_it_runs(page) -> None:
    """The game draws on, and the kernel runs cells between its frames (benchmarks/player.py)."""
    drawn = int(page.locator(".wm-player").get_attribute("data-drawn"))
    assert len(cell_milliseconds(page, repeats=3)) == 3
    page.wait_for_function(
        "(least) => Number(document.querySelector('.wm-player').dataset.drawn) >= least",
        arg=drawn + 10,
    )
    assert is_playing(page)


def test_a_running_game_leaves_the_kernel_free_and_is_not_saved(square, lab):
    page = square
    page.locator(".wm-stage").click()
    page.wait_for_selector(".wm-playing")
    check_that_it_runs(page)

    save(page)
    saved = (lab[0] / "notebooks" / "square.ipynb").read_text()
    assert len(saved) < 5_000, "frames must not be saved in the notebook"
    assert "widgets" not in json.loads(saved)["metadata"]

    # a game whose view is gone stops
    assert is_playing(page)
    page.evaluate("() => { jupyterapp.commands.execute('notebook:clear-all-cell-outputs'); }")
    page.wait_for_selector(".wm-player", state="detached")
    answer = page.evaluate(
        """async () => {
            const kernel = jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
            await new Promise((resolve) => setTimeout(resolve, 500));
            const future = kernel.requestExecute({ code: 'print(player.loop.playing)' });
            let text = '';
            future.onIOPub = (m) => { if (m.content.text) text += m.content.text; };
            await future.done;
            return text.trim();
        }"""
    )
    assert answer == "False"


def test_the_shipped_checkpoint_is_played(browser, lab, tmp_path):
    pytest.importorskip("vizdoom")
    page = open_and_run(browser, lab, "doom.ipynb", PLAY_DOOM, timeout=120_000)
    page.locator(".wm-stage").click()
    page.wait_for_selector(".wm-playing")
    page.keyboard.down("ArrowRight")
    page.wait_for_timeout(500)
    page.keyboard.up("ArrowRight")
    check_that_it_runs(page)
    screenshot(page, "doom", tmp_path)
    page.close()


def test_the_text_box_takes_typing_and_enter(browser, lab):
    folder, address = lab
    write_notebook(folder / "notebooks/words.ipynb", [SAY_WORDS])
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    open_notebook(page, address.format("words.ipynb"))
    run_all(page)
    page.wait_for_selector(".wm-text-field", timeout=60_000)
    level = """() => document.querySelector('.wm-dream canvas').getContext('2d')
        .getImageData(0, 0, 1, 1).data[0]"""
    cells = page.locator(".jp-Cell").count()
    for typed, shown in (("dark", "x > 10 && x < 60"), ("light", "x > 180")):
        page.locator(".wm-text-field").fill("")
        page.locator(".wm-text-field").press_sequentially(typed)
        page.keyboard.press("Enter")
        page.wait_for_function(
            f"() => {{ const x = ({level})(); return {shown}; }}", timeout=20_000
        )
    page.locator(".wm-text-field").fill("lihgt")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.wm-text-status').textContent.includes(\"'light'\")",
        timeout=20_000,
    )
    assert page.locator(".jp-Cell").count() == cells, "letters are no commands of the notebook"
    page.close()
