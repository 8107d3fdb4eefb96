"""The thread that plays: it owns the session, keeps the pace and talks to the browser.

Why a thread: a game that is asked for frame by frame draws about half as many frames, and one that
runs in a cell blocks the kernel. Three rules keep everything else alive:

    - Only this thread touches the session and the environment; messages reach it through a queue.
    - It computes with one torch thread and sleeps a little in every frame, so that cells still run.
    - At most ``WINDOW`` frames are under way to the browser, which acknowledges every few of them;
      a browser that stops answering stops the game.
"""

from __future__ import annotations

import math
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch

from wmlearn.player.forms import within
from wmlearn.player.picture import gif
from wmlearn.player.session import PlaySession, View

WINDOW = 12  # frames on their way to the browser
SILENCE = 5.0  # seconds without an acknowledgement after which the game pauses
SHORTEST_SLEEP = 0.003  # seconds of every frame that are left to other threads
HOLD = 0.6  # seconds for which the end of an episode is shown
HOLD_STRAYED = 2.5  # and the place where the guard ended a dream: there is a sentence to read
GIF_SECONDS = 8.0

_active: weakref.ref[PlayLoop] | None = None  # the one loop that may be playing
_active_lock = threading.Lock()


class PlayLoop:
    """Plays a ``PlaySession`` in a daemon thread.

    Args:
        build: makes the session; called in the thread, so that an environment lives in one thread.
        send: ``send(message, buffers)`` to the browser; called from the thread.
        fps: frames per second that are aimed at; a step may give several (``World.chunk``).

    Raises:
        Exception: whatever ``build`` raises.
    """

    def __init__(
        self,
        build: Callable[[], PlaySession],
        send: Callable[[dict[str, Any], list[bytes]], None],
        fps: float = 30,
    ) -> None:
        self.send, self.fps = send, float(fps)
        self.session: PlaySession
        self.playing = False
        self.sent = self.acknowledged = 0
        self._build = build
        self._inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._held: list[str] = []
        self._tapped: list[str] = []
        self._said: list[int] = []
        self._motion: list[float] = []
        self._due = self._begun = 0.0
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wmlearn-play", daemon=True)
        threads = torch.get_num_threads()
        self._thread.start()
        self._ready.wait()
        # The count is kept per thread, but also as the default of threads to come: put that back.
        torch.set_num_threads(threads)
        if self._failure is not None:
            raise self._failure

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def handle(self, message: dict[str, Any]) -> None:
        """Takes a message of the browser, from any thread; returns at once."""
        self._inbox.put(message)

    def close(self) -> None:
        """Ends the thread; the environment is closed with it."""
        self._inbox.put({"type": "close"})
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        torch.set_num_threads(1)
        try:
            self.session = self._build()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        message: dict[str, Any] | None = None
        while message is None or message["type"] != "close":
            try:
                message = self._inbox.get(timeout=self._patience())
            except queue.Empty:
                message = None
            try:
                self._tick() if message is None else self._obey(message)
            except Exception as error:
                self._pause(f"The game stopped: {type(error).__name__}: {error}")
        self._pause("This player was closed: run its cell again.", closed=True)
        self.session.close()

    def _patience(self) -> float | None:
        """Seconds to wait for a message before the next tick; ``None``: for ever."""
        if not self.playing:
            return None
        if self.sent - self.acknowledged >= WINDOW:
            return SILENCE
        return max(SHORTEST_SLEEP, self._due - time.perf_counter())

    def _tick(self) -> None:
        """One step of a running game."""
        if self.sent - self.acknowledged >= WINDOW:
            self._pause("Paused: the browser did not answer (is a cell running?).")
            return
        now = time.perf_counter()
        chunk = self.session.world.chunk
        self._due = max(self._due + chunk / self.fps, now)
        lasts, self._begun = min(max(now - self._begun, chunk / self.fps), 1.0), now
        if self.session.view.over:
            self._show(self.session.restart())
            return
        action = self._wanted()
        if action is None:  # the player wants nothing, and no action does nothing: the game waits
            return
        view = self.session.step(action)
        for number, part in enumerate(self.session.film):
            self._show(part, number * lasts / chunk)
        if view.over:
            self._due = now + (HOLD_STRAYED if view.strayed else HOLD)

    def _wanted(self) -> int | list[float] | None:
        """What the player wants now: a motion, a key, or the next step of what was said."""
        if self.session.axes:
            return self._motion if any(self._motion) else None
        keys = self._held + [key for key in self._tapped if key not in self._held]
        self._tapped = []
        if keys:
            self._said = []
        return self._said.pop() if self._said else self.session.keymap.action(keys)

    def _obey(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "keys":
            pressed = [str(key) for key in message["pressed"]]
            self._tapped += [key for key in pressed if key not in self._held]
            self._held = pressed
        elif kind == "say":
            self._say(str(message.get("text", "")), int(message.get("times", 1)))
        elif kind == "motion":
            self._motion = within(message.get("value", []), self.session.world.action_space)
        elif kind == "ack":
            self.acknowledged = max(self.acknowledged, int(message["seq"]))
        elif kind == "play":
            self._play()
        elif kind == "pause":
            self._pause("Paused.")
        elif kind == "step":
            self._single_step(message.get("pressed", []))
        elif kind == "restart":
            self._due = time.perf_counter()
            self._show(self.session.restart())
        elif kind == "fps":
            self.fps = min(120.0, max(1.0, float(message["value"])))
        elif kind == "gif":
            views = self.session.recent(round(GIF_SECONDS * self.fps))
            self.send({"type": "gif", "name": "wmlearn-play.gif"}, [gif(views, self.fps)])
        elif kind == "ready":  # a browser has just drawn the widget: it has seen no frame yet
            self.acknowledged = self.sent
            self._tell_state(
                self._playing_note() if self.playing else self.session.note or "Ready."
            )
            self._show(self.session.view)

    def _say(self, text: str, times: int) -> None:
        """A sentence, to be said at each of the next steps; the game plays on by itself."""
        try:
            number = self.session.world.action_space.number(text)
        except ValueError as error:
            self._tell_state(str(error))
            return
        if not self.playing:
            self._play()
        self._said = [number] * max(1, min(100, times))

    def _play(self) -> None:
        global _active
        with _active_lock:
            other = None if _active is None else _active()
            _active = weakref.ref(self)
        if other is not None and other is not self:
            other.handle({"type": "pause"})
        if not self.playing:
            self.playing = True
            self._held, self._tapped, self._said = [], [], []
            self.acknowledged = self.sent
            self._due = time.perf_counter()
        self._tell_state(self._playing_note())

    def _playing_note(self) -> str:
        if self.session.axes:
            return "Playing. The game waits while all sliders are in the middle."
        waits = self.session.noop is None
        return "Playing. The game waits while no key is pressed." if waits else "Playing."

    def _pause(self, note: str, closed: bool = False) -> None:
        self.playing = False
        self._held, self._tapped, self._said, self._motion = [], [], [], []
        self._tell_state(note, closed)

    def _single_step(self, pressed: list[str]) -> None:
        if self.playing:
            self._pause("Paused.")
        if self.session.view.over:
            self._show(self.session.restart())
            return
        if self.session.axes:
            action = self._motion or [0.0] * self.session.axes
        else:
            action = self.session.keymap.action(pressed)
        if action is None:
            self._tell_state("Press a key, or a button: no action here does nothing.")
        else:
            self._show(self.session.step(action))

    def _tell_state(self, note: str, closed: bool = False) -> None:
        self.send({"type": "state", "playing": self.playing, "closed": closed, "note": note}, [])

    def _show(self, view: View, wait: float = 0.0) -> None:
        """Sends a view, to be drawn in ``wait`` seconds: frames that came together follow so."""
        self.sent += 1
        message = {
            "type": "frame",
            "seq": self.sent,
            "step": view.step,
            "psnr": None if math.isnan(view.psnr) else round(view.psnr, 2),
            "real": [round(view.real_return, 2), view.real_ended],
            "dream": [round(view.dream_return, 2), view.dream_ended],
            "over": view.over,
            "note": view.note,
            "wait": round(1000 * wait),
        }
        self.send(message, [pixels(view)])


def pixels(view: View) -> bytes:
    """RGB bytes of the real frame, where there is one, and then of the dream."""
    return (b"" if view.real is None else view.real.tobytes()) + view.dream.tobytes()
