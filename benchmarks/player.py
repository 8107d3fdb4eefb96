"""The player's pace in JupyterLab and Chromium, and whether the kernel stays free meanwhile.

    python benchmarks/player.py

Frames that the browser drew in a second, by its own clock, of 30 asked for; and how long the kernel
takes for `1 + 1` while the game is played.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/shared"))
from jupyter_browser import (
    CHROMIUM_FLAGS,
    cell_milliseconds,
    drawn_per_second,
    find_chromium,
    jupyterlab,
    open_notebook,
    run_all,
    write_notebook,
)

GAMES = {
    "a bright square": """\
import wmlearn as wm
from play_fakes import KEYS, NAMES, SquareEnv, SquareWorld
player = wm.play(SquareWorld(), SquareEnv(), keys=KEYS, names=NAMES)
player""",
    "diamond-doom-basic beside DOOM": """\
import wmlearn as wm
player = wm.play("diamond-doom-basic", env="doom/basic")
player""",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as address:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=find_chromium(), args=CHROMIUM_FLAGS
            )
            for number, (name, cell) in enumerate(GAMES.items()):
                write_notebook(Path(folder, "notebooks", f"{number}.ipynb"), [cell])
                page = chromium.new_page(viewport={"width": 1100, "height": 800})
                open_notebook(page, address.format(f"{number}.ipynb"))
                run_all(page)
                page.wait_for_selector(".wm-player[data-drawn]", timeout=120_000)
                page.locator(".wm-stage").click()
                page.wait_for_selector(".wm-playing")
                page.wait_for_timeout(500)
                rate, times = drawn_per_second(page, 6), cell_milliseconds(page)
                print(
                    f"{name}: {rate:.1f} frames/s, cell {statistics.median(times):.0f} ms, "
                    f"worst {max(times):.0f} ms (load {os.getloadavg()[0]:.1f})"
                )
                page.close()
            chromium.close()


if __name__ == "__main__":
    main()
