"""A text box: type a sentence, watch the video that a world makes of it."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from PIL import Image

from wmlearn.data.clip import Clip
from wmlearn.player.page import script, styles
from wmlearn.world import PromptedWorld

_JS = Path(__file__).parent / "js"


@dataclass(frozen=True)
class Drawn:
    """What came of a sentence.

    Attributes:
        frames: uint8 ``[T, H, W, 3]``.
        seconds: that it took.
    """

    frames: np.ndarray
    seconds: float


class PromptSession:
    """Sentences in, videos out; the k-th video of two sessions with one seed is the same.

    Args:
        world: one that can be told what to show, and needs no frames to begin with.
        seed: of the noise.

    Raises:
        ValueError: the world takes no words.
    """

    def __init__(self, world: PromptedWorld, seed: int = 0) -> None:
        if not isinstance(world, PromptedWorld):
            raise ValueError(f"{type(world).__name__} cannot be told in words what to show.")
        self.world = world
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, text: str) -> Drawn:
        """A video of the sentence; ``ValueError`` where the world does not know a word."""
        began = time.perf_counter()
        none = torch.zeros(1, 0, *self.world.frame_shape, dtype=torch.uint8)
        state = self.world.reset(Clip(none), (text,))
        _, step = self.world.step(state, torch.zeros(1, dtype=torch.long), self.generator)
        frames = step.frame[:, None] if step.frames is None else step.frames
        pictures = frames[0].permute(0, 2, 3, 1).cpu().numpy()
        return Drawn(pictures, time.perf_counter() - began)


class PromptBox(anywidget.AnyWidget):
    """The text box on the page.

    Args:
        session: what draws.
        examples: sentences on buttons; the first one stands in the field.
        fps: frames a second of the loop.
        width: of the picture, in CSS pixels.
    """

    _esm = script(_JS / "textbox.js")
    _css = styles(_JS / "textbox.css")
    config = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        session: PromptSession,
        examples: Sequence[str] = (),
        fps: float = 8,
        width: int = 256,
    ) -> None:
        self.session = session
        _, height, wide = session.world.frame_shape
        super().__init__(
            config={
                "height": height, "width": wide, "fps": fps, "shown": width,
                "text": examples[0] if examples else "", "examples": list(examples),
                "note": "Type a sentence and press Enter.",
            }
        )  # fmt: skip
        self.on_msg(self._handle)

    def _handle(self, _widget: Any, message: dict, _buffers: list) -> None:
        if message.get("type") == "prompt":
            self.ask(str(message.get("text", "")))

    def ask(self, text: str) -> Drawn | None:
        """As Enter does: draws and shows; None where a word is not known, which it then says."""
        try:
            drawn = self.session.draw(text)
        except ValueError as error:
            self._tell({"type": "refused", "words": str(error)})
            return None
        words = f"{len(drawn.frames)} frames in {drawn.seconds:.1f} s"
        self._tell(
            {"type": "video", "words": words}, [np.ascontiguousarray(drawn.frames).tobytes()]
        )
        return drawn

    def _tell(self, message: dict, buffers: list[bytes] | None = None) -> None:
        if self.comm is not None:
            self.send(message, buffers)

    def __repr__(self) -> str:
        return "A text box: run this cell, then type what you want to see."


class PromptForm(ipywidgets.VBox):
    """The same of plain widgets, with an animated picture.

    Args:
        session, examples, fps, width: as for :class:`PromptBox`.
    """

    def __init__(
        self,
        session: PromptSession,
        examples: Sequence[str] = (),
        fps: float = 8,
        width: int = 256,
    ) -> None:
        self.session, self._fps, self._width = session, fps, width
        self.field = ipywidgets.Text(value=examples[0] if examples else "", description="show")
        self.button = ipywidgets.Button(description="Draw")
        self.button.on_click(lambda _: self.ask(self.field.value))
        self.image, self.status = ipywidgets.Image(format="gif"), ipywidgets.Label()
        self.image.layout.align_self = "flex-start"
        super().__init__([ipywidgets.HBox([self.field, self.button]), self.image, self.status])

    def ask(self, text: str) -> Drawn | None:
        """Draws and shows; None where a word is not known, which it then says."""
        try:
            drawn = self.session.draw(text)
        except ValueError as error:
            self.status.value = str(error)
            return None
        self.image.value = _gif(drawn.frames, self._fps, self._width)
        self.status.value = f"{len(drawn.frames)} frames in {drawn.seconds:.1f} s"
        return drawn


def _gif(frames: np.ndarray, fps: float, width: int) -> bytes:
    scale = max(1, width // frames.shape[2])
    large = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    first, *rest = [Image.fromarray(frame) for frame in large]
    out = io.BytesIO()
    duration = round(1000 / fps)
    first.save(out, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    return out.getvalue()
