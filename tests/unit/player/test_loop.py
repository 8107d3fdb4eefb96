"""The player's loop and its pace, with a comm made of a list in the place of a browser."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from play_fakes import KEYS, STRIDE, SquareEnv, SquareWorld, column

from wmlearn.player import PlaySession, loop
from wmlearn.player.loop import WINDOW, PlayLoop

pytestmark = pytest.mark.filterwarnings("ignore:wm.play makes a widget")


class Browser:
    """Takes what the loop sends; acknowledges like player.js if ``answers``."""

    def __init__(self, answers: bool = True) -> None:
        self.answers, self.loop = answers, None
        self.messages: list[dict] = []
        self.frames: list[bytes] = []

    def __call__(self, message, buffers):
        self.messages.append(message)
        if message["type"] == "frame":
            self.frames.append(buffers[0])
            if self.answers and len(self.frames) % 6 == 0:
                self.loop.handle({"type": "ack", "seq": message["seq"]})

    def wait_for_pause(self):
        self.wait(lambda: self.messages and self.messages[-1].get("playing") is False)

    def wait(self, condition, seconds=10.0):
        end = time.perf_counter() + seconds
        while not condition():
            assert time.perf_counter() < end, f"not seen in time; last: {self.messages[-3:]}"
            time.sleep(0.005)


@pytest.fixture
def start():
    """Makes loops and closes them after the test."""
    loops = []

    def make(browser=None, env=None, world=None, fps=200):
        browser = browser or Browser()
        env = env or SquareEnv()
        playing = PlayLoop(
            lambda: PlaySession(world or SquareWorld(), env, keys=KEYS), browser, fps
        )
        browser.loop = playing
        loops.append(playing)
        return playing, browser

    yield make
    for one in loops:
        one.close()


def test_loop_waits_until_it_is_told_to_play(start):
    playing, browser = start()
    time.sleep(0.1)
    assert browser.messages == [] and not playing.playing
    playing.handle({"type": "ready"})
    browser.wait(lambda: len(browser.frames) == 1)
    assert len(browser.frames[0]) == 2 * 64 * 64 * 3
    playing.handle({"type": "play"})
    browser.wait(lambda: len(browser.frames) > 30)
    playing.handle({"type": "pause"})
    browser.wait_for_pause()
    count = len(browser.frames)
    time.sleep(0.1)
    assert len(browser.frames) == count
    assert [m["playing"] for m in browser.messages if m["type"] == "state"] == [False, True, False]


def test_loop_keeps_its_pace(start):
    playing, browser = start(fps=200)
    playing.handle({"type": "fps", "value": 40})
    playing.handle({"type": "play"})
    browser.wait(lambda: browser.frames)
    count, begin = len(browser.frames), time.perf_counter()
    time.sleep(1.0)
    rate = (len(browser.frames) - count) / (time.perf_counter() - begin)
    assert 0 < rate < 44  # how near to 40 it comes is a matter of the machine: benchmarks/player.py


def test_a_silent_browser_stops_the_game(start, monkeypatch):
    monkeypatch.setattr(loop, "SILENCE", 0.3)
    playing, browser = start(Browser(answers=False))
    playing.handle({"type": "play"})
    browser.wait(lambda: len(browser.frames) == WINDOW)
    time.sleep(0.05)
    assert len(browser.frames) == WINDOW  # no more than a window under way
    playing.handle({"type": "ack", "seq": 6})
    browser.wait(lambda: len(browser.frames) == WINDOW + 6)
    browser.wait_for_pause()
    assert len(browser.frames) == WINDOW + 6
    assert "did not answer" in browser.messages[-1]["note"]


def test_keys_move_the_square_and_a_short_tap_counts(start):
    playing, browser = start()
    begin = column(playing.session.view.real)
    playing.handle({"type": "play"})
    playing.handle({"type": "keys", "pressed": ["ArrowRight"]})
    playing.handle({"type": "keys", "pressed": []})  # released before the next frame
    browser.wait(lambda: len(browser.frames) > 5)
    playing.handle({"type": "pause"})
    browser.wait_for_pause()
    assert column(playing.session.view.real) == begin + STRIDE
    for pressed in (["ArrowLeft"], ["action:1"], []):
        playing.handle({"type": "step", "pressed": pressed})
    count = playing.session.view.step + 3
    browser.wait(lambda: playing.session.view.step == count)
    assert column(playing.session.view.dream) == begin - STRIDE


def test_a_new_episode_starts_by_itself(start, monkeypatch):
    monkeypatch.setattr(loop, "HOLD", 0.05)
    playing, browser = start(env=SquareEnv(length=5), world=SquareWorld(ends=True))
    playing.handle({"type": "play"})
    playing.handle({"type": "keys", "pressed": ["Space"]})
    browser.wait(lambda: playing.session.restarts >= 3)
    notes = [m["note"] for m in browser.messages if m["type"] == "frame" and m["over"]]
    assert notes and all("both" in note for note in notes)


def test_restart_and_gif_on_request(start):
    playing, browser = start()
    for _ in range(4):
        playing.handle({"type": "step", "pressed": ["ArrowRight"]})
    playing.handle({"type": "gif"})
    playing.handle({"type": "restart"})
    browser.wait(lambda: browser.messages and browser.messages[-1].get("step") == 0)
    assert [m["name"] for m in browser.messages if m["type"] == "gif"] == ["wmlearn-play.gif"]
    assert playing.session.restarts == 2


def test_only_one_loop_plays(start):
    (first, browser), (second, _) = start(), start()
    first.handle({"type": "play"})
    browser.wait(lambda: first.playing)
    second.handle({"type": "play"})
    browser.wait(lambda: second.playing and not first.playing)


def test_close_ends_the_thread_and_only_its_own_environment():
    mine, yours = SquareEnv(), SquareEnv()
    for env, close_env in ((mine, True), (yours, False)):
        playing = PlayLoop(
            lambda env=env, close_env=close_env: PlaySession(
                SquareWorld(), env, close_env=close_env
            ),
            browser := Browser(),
        )
        browser.loop = playing
        playing.handle({"type": "play"})
        browser.wait(lambda playing=playing: playing.playing)
        playing.close()
        assert not playing.alive and browser.messages[-1]["closed"]
    assert mine.closed and not yours.closed


def test_an_error_pauses_and_is_told(start):
    class Broken(SquareWorld):
        def step(self, state, action, generator=None):
            raise ArithmeticError("no dream today")

    playing, browser = start(world=Broken())
    playing.handle({"type": "play"})
    browser.wait(lambda: any("no dream today" in m.get("note", "") for m in browser.messages))
    assert not playing.playing and playing.alive


def test_an_error_while_building_reaches_the_cell():
    with pytest.raises(ValueError, match="Nothing to start from"):
        PlayLoop(lambda: PlaySession(SquareWorld()), Browser())
    assert not any(thread.name == "wmlearn-play" for thread in threading.enumerate())


def test_the_notebook_keeps_its_own_torch_threads(start):
    torch.set_num_threads(2)
    try:
        counts = []

        class Watching(SquareWorld):
            def step(self, state, action, generator=None):
                counts.append(torch.get_num_threads())
                return super().step(state, action, generator)

        playing, browser = start(world=Watching())
        playing.handle({"type": "play"})
        browser.wait(lambda: len(counts) > 3)
        later = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert set(counts) == {1} and later == [2] and torch.get_num_threads() == 2
        playing.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_the_game_waits_for_a_key_where_no_action_does_nothing(start):
    class Spinning(SquareEnv):
        noop = None

    playing, browser = start(env=Spinning())
    playing.handle({"type": "play"})
    browser.wait(lambda: any(m.get("playing") for m in browser.messages))
    shown = len(browser.frames)
    time.sleep(0.3)
    assert len(browser.frames) == shown and "waits" in browser.messages[-1]["note"]
    playing.handle({"type": "keys", "pressed": ["ArrowRight"]})
    browser.wait(lambda: len(browser.frames) > shown + 3)
    playing.handle({"type": "pause"})
    browser.wait_for_pause()
    playing.handle({"type": "step", "pressed": []})
    browser.wait(lambda: "Press a key" in browser.messages[-1]["note"])
