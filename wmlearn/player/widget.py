"""The player as an anywidget: two pictures in the notebook, played with the keyboard."""

from __future__ import annotations

import io
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from wmlearn.player.forms import buttons, form_of
from wmlearn.player.loop import PlayLoop
from wmlearn.player.page import script, styles
from wmlearn.player.picture import gif
from wmlearn.player.session import PlaySession, View

_JS = Path(__file__).parent / "js"
_MOST_OPEN = 4  # players that keep their thread and environment; older ones are closed
_open: list[weakref.ref[Player]] = []


def _place() -> tuple[str, int] | None:
    """The cell that runs, and which run of the notebook it is; ``None`` outside of one.

    The cell is known by its id where the notebook program tells it, else by its text.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None:
        return None
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = (parent or {}).get("metadata", {}).get("cellId")
    text = (parent or {}).get("content", {}).get("code", "")
    return (str(cell or text), shell.execution_count) if cell or text else None


class Player(anywidget.AnyWidget):
    """Real environment and dream side by side; made by ``wmlearn.player.play``.

    Frames travel as messages and are never part of the widget's saved state; ``poster``, one PNG
    of the first frame, is: a page without a kernel shows it.

    Args:
        build: makes the session; called in the player's own thread.
        fps: frames per second that are aimed at.
        width: width of each picture on the page, in CSS pixels.
    """

    _esm = script(_JS / "forms.js", _JS / "player.js")
    _css = styles(_JS / "player.css")
    config = traitlets.Dict().tag(sync=True)
    poster = traitlets.Bytes(b"").tag(sync=True)

    def __init__(
        self,
        build: Callable[[], PlaySession],
        *,
        fps: float = 30,
        width: int = 256,
    ) -> None:
        place = _place()
        for older in _open[:]:
            if (player := older()) is not None:
                player.pause()
                if _same_cell(player.place, place):  # its output is about to be replaced
                    player.loop.close()
                    _open.remove(older)
        self.loop = PlayLoop(build, self._to_browser, fps)
        session = self.loop.session
        view = session.view
        super().__init__(
            config={
                "shape": list(view.dream.shape[:2]),
                "real": view.real is not None,
                "actions": buttons(session),
                "form": form_of(session.world.action_space),
                "used": session.keymap.used,
                "fps": fps,
                "width": width,
            },
            poster=poster(view),
        )
        self.place = place
        self.on_msg(lambda _, message, buffers: self.loop.handle(message))
        _open.append(weakref.ref(self))
        while len(_open) > _MOST_OPEN:
            if (oldest := _open.pop(0)()) is not None:
                oldest.loop.close()

    @property
    def session(self) -> PlaySession:
        """The running session; look at it while paused: the player's thread owns it."""
        return self.loop.session

    def start(self) -> None:
        """Plays; any other player of this kernel pauses."""
        self.loop.handle({"type": "play"})

    def pause(self) -> None:
        self.loop.handle({"type": "pause"})

    def save_gif(self, path: str | Path, seconds: float = 8.0) -> Path:
        """Writes the last ``seconds`` of play to ``path`` and returns it."""
        views = self.session.recent(round(seconds * self.loop.fps))
        Path(path).write_bytes(gif(views, self.loop.fps))
        return Path(path)

    def close(self) -> None:
        """Ends the thread, closes the environment and takes the widget off the page."""
        if hasattr(self, "loop"):
            self.loop.close()
        super().close()

    def __repr__(self) -> str:
        return "A player: run this cell to play."

    def _to_browser(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        if self.comm is not None:
            self.send(message, buffers)


def _same_cell(before: tuple[str, int] | None, now: tuple[str, int] | None) -> bool:
    """Whether it is another run of one cell: several players of one run live side by side."""
    return None not in (before, now) and before[0] == now[0] and before[1] != now[1]


def poster(view: View) -> bytes:
    """The first pictures side by side, one PNG."""
    sides = [view.dream] if view.real is None else [view.real, view.dream]
    out = io.BytesIO()
    Image.fromarray(np.hstack(sides)).save(out, "PNG", optimize=True)
    return out.getvalue()
