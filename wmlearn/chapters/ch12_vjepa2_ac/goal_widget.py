"""The goal picker on the page: an anywidget, and plain buttons where there are none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets
from PIL import Image

from wmlearn.chapters.ch12_vjepa2_ac.goal import GoalSession, GoalView
from wmlearn.player.page import script, styles

_HERE = Path(__file__).parent


class GoalPicker(anywidget.AnyWidget):
    """Goal images to click on, and the arm beside what its world expects.

    Args:
        session: the arm.
        width: of each large picture, in CSS pixels.
    """

    _esm = script(_HERE / "goal.js")
    _css = styles(_HERE / "goal.css")
    config = traitlets.Dict().tag(sync=True)
    sheet = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, session: GoalSession, width: int = 224) -> None:
        self.session = session
        goals = session.images.permute(0, 2, 3, 1).numpy()
        super().__init__(
            config={
                "shape": list(goals.shape[1:3]),
                "goals": len(goals),
                "real": session.env is not None,
                "steps": session.steps,
                "width": width,
                "note": session.note,
            },
            sheet=_png(np.hstack(list(goals))),
        )
        self.on_msg(self._handle)

    def _handle(self, _widget: Any, message: dict, _buffers: list) -> None:
        if message.get("type") == "look":
            self._tell(self.session.view, -1)
        elif message.get("type") == "pick":
            self.pick(int(message["goal"]))

    def pick(self, goal: int) -> list[GoalView]:
        """Sends the arm to a goal image, as a click does; all that was seen."""
        views = []
        for view in self.session.pursue(goal):
            self._tell(view, goal)
            views.append(view)
        return views

    def _tell(self, view: GoalView, goal: int) -> None:
        if self.comm is None:
            return
        facts = {"step": view.step, "goal": goal, "over": view.over}
        facts |= {"centimeters": view.centimeters, "seconds": view.seconds}
        pictures = [view.imagined] if view.real is None else [view.imagined, view.real]
        self.send({"type": "view", **facts}, [np.ascontiguousarray(p).tobytes() for p in pictures])

    def __repr__(self) -> str:
        return "A goal picker: run this cell, then click on the picture where the arm shall go."


class GoalButtons(ipywidgets.VBox):
    """The same with a button for each goal, and one picture that is drawn anew.

    Args:
        session: the arm.
        width: of each large picture, in pixels.
    """

    def __init__(self, session: GoalSession, width: int = 224) -> None:
        self.session, self._width = session, width
        self.goals = ipywidgets.Image(
            value=_png(np.hstack(list(session.images.permute(0, 2, 3, 1).numpy())), 2),
            format="png",
        )
        self.image, self.status = ipywidgets.Image(format="png"), ipywidgets.HTML()
        self.buttons = []
        for number in range(len(session.images)):
            button = ipywidgets.Button(description=f"goal {number + 1}")
            button.on_click(lambda _, goal=number: self.pick(goal))
            button.layout.width = f"{2 * session.images.shape[-1] - 4}px"
            self.buttons.append(button)
        for image in (self.goals, self.image):
            image.layout.align_self = "flex-start"
        super().__init__([self.goals, ipywidgets.HBox(self.buttons), self.image, self.status])
        self._draw(session.view, session.note)

    def pick(self, goal: int) -> list[GoalView]:
        """Sends the arm to a goal image; all that was seen."""
        views = []
        for view in self.session.pursue(goal):
            views.append(view)
            self._draw(view, f"goal {goal + 1}, action {view.step}: {view.centimeters:.1f} cm away")
        return views

    def _draw(self, view: GoalView, text: str) -> None:
        sides = [view.imagined] if view.real is None else [view.real, view.imagined]
        self.image.value = _png(np.hstack(sides), max(1, self._width // sides[0].shape[1]))
        order = "real, and expected" if view.real is not None else "expected"
        self.status.value = f"{order} (nearest recorded frame). {text}"


def _png(frame: np.ndarray, scale: int = 1) -> bytes:
    out = io.BytesIO()
    large = np.repeat(np.repeat(frame, scale, axis=0), scale, axis=1)
    Image.fromarray(large).save(out, "PNG", optimize=True)
    return out.getvalue()
