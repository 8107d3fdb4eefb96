"""The player where threads or messages do not work: one click, one step, one picture."""

from __future__ import annotations

import math
from html import escape

import ipywidgets

from wmlearn.player.forms import buttons, form_of
from wmlearn.player.picture import png
from wmlearn.player.session import PlaySession


class StepPlayer(ipywidgets.VBox):
    """Buttons and an image; every click makes steps and redraws, with nothing in the background.

    Args:
        session: what to play.
        width: width of each picture, in pixels.
    """

    def __init__(self, session: PlaySession, width: int = 256) -> None:
        self.session, self._width = session, width
        self.image = ipywidgets.Image(format="png")
        self.image.layout.align_self = "flex-start"
        self.steps = ipywidgets.BoundedIntText(
            1, min=1, max=50, description="steps a click", style={"description_width": "initial"}
        )
        self.steps.layout.width = "160px"
        self.status = ipywidgets.HTML()
        self.actions = []
        self.form = form_of(session.world.action_space)
        for label in buttons(session):
            button = ipywidgets.Button(description=label["name"], tooltip=f"Do: {label['name']}")
            button.on_click(lambda _, action=label["index"]: self.act(action))
            self.actions.append(button)
        self.field = ipywidgets.Combobox(placeholder="say", options=self.form.get("sentences", []))
        self.sliders = [
            ipywidgets.FloatSlider(min=-1, max=1, step=0.1, description=f"{axis + 1}")
            for axis in range(session.axes)
        ]
        self.go = ipywidgets.Button(description="say" if self.form["kind"] == "say" else "move")
        self.go.on_click(lambda _: self.say() if self.form["kind"] == "say" else self.move())
        self.restart_button = ipywidgets.Button(
            description="restart", tooltip="Start again from a real frame"
        )
        self.restart_button.on_click(lambda _: self.restart())
        for button in (*self.actions, self.go, self.restart_button):
            button.layout.width = "auto"
        shown = {"say": [self.field, self.go], "move": [*self.sliders, self.go], "keys": []}
        row = ipywidgets.Box(
            [*shown[self.form["kind"]], *self.actions, self.restart_button, self.steps]
        )
        row.layout.flex_flow = "row wrap"
        super().__init__([self.image, row, self.status])
        self._draw()

    def say(self) -> None:
        """What stands in the field, as many times as chosen."""
        try:
            action = self.session.world.action_space.number(self.field.value)
        except ValueError as error:
            self.status.value = escape(str(error))
        else:
            self.act(action)

    def move(self) -> None:
        """The motion that the sliders show, as many times as chosen."""
        self.act([slider.value for slider in self.sliders])

    def act(self, action: int | list[float]) -> None:
        """As many steps as chosen with ``action``; a new episode if the last one is over."""
        if self.session.view.over:
            self.session.restart()
        else:
            for _ in range(self.steps.value):
                if self.session.step(action).over:
                    break
        self._draw()

    def restart(self) -> None:
        self.session.restart()
        self._draw()

    def _draw(self) -> None:
        view = self.session.view
        self.image.value = png(view, self._width)
        close = f", PSNR {view.psnr:.1f} dB" if math.isfinite(view.psnr) else ""
        again = " The next click starts a new one." if view.over else ""
        self.status.value = f"step {view.step}{close}. {view.note}{again} {self.session.note}"
