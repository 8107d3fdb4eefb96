"""The mask playground: hide places of a clip and see where a V-JEPA guesses wrong.

``playground(system, clip)`` is the widget, ``mask_figure`` the same as one still picture, and
``mask_error`` the numbers behind both. A place is hidden over the whole clip, as in training.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wmlearn import viz
from wmlearn.data.clip import Clip
from wmlearn.player.page import script, styles

if TYPE_CHECKING:
    from wmlearn.systems.vjepa import VJEPA

_HERE = Path(__file__).parent
CLEAR, FULL = 0.4, 1.2  # errors, in units of the baseline, that are painted not at all and fully


class MaskError(NamedTuple):
    """How wrong the guesses are.

    Attributes:
        places: float32 ``[T, H, W]``, L1 distance of each hidden tubelet's guess from the target
            feature (layer-normed, so a channel's size is about 1); NaN where nothing is hidden.
        mean: of all hidden tubelets.
        baseline: the same for the mean feature of the visible tubelets as every guess.
    """

    places: Tensor
    mean: float
    baseline: float

    def shades(self) -> Tensor:
        """How strongly to paint each place, 0 to 1 ``[T, H, W]``; the baseline would be 0.75."""
        return ((self.places / self.baseline - CLEAR) / (FULL - CLEAR)).clamp(0, 1)


@torch.no_grad()
def mask_error(system: VJEPA, clip: Clip, hidden: Tensor) -> MaskError:
    """The prediction error of one clip when ``hidden`` places are cut out of it.

    Args:
        system: predicts features.
        clip: a batch of one.
        hidden: bool ``[H, W]`` over the grid of places, true where nothing is seen.

    Raises:
        ValueError: everything or nothing is hidden, or the shape is not the grid's.
    """
    time, height, width = system.config.encoder.grid
    hidden = torch.as_tensor(hidden, dtype=torch.bool)
    if hidden.shape != (height, width):
        raise ValueError(f"The mask must be [{height}, {width}]; got {list(hidden.shape)}.")
    if hidden.all() or not hidden.any():
        raise ValueError("Hide at least one place, and leave at least one to be seen.")
    everywhen = hidden.flatten().repeat(time)
    inside, outside = (x.nonzero()[:, 0][None] for x in (everywhen, ~everywhen))
    patches = system.encoder.cut(system.video(clip[:1]))
    target = system.target(patches)[0]
    error = (system.guess(patches, outside, inside)[0] - target[inside[0]]).abs().mean(-1)
    same = (target[outside[0]].mean(0) - target[inside[0]]).abs().mean()
    places = torch.full((time * height * width,), torch.nan)
    places[inside[0]] = error
    return MaskError(places.view(time, height, width), float(error.mean()), float(same))


def center_block(system: VJEPA) -> Tensor:
    """A mask to begin with: all but a border, bool ``[H, W]``; about the share that training hides.

    With much less hidden, the predictor sees more tokens than it has met and guesses badly.
    """
    _, height, width = system.config.encoder.grid
    hidden = torch.zeros(height, width, dtype=torch.bool)
    y, x = max(1, height // 8), max(1, width // 8)
    hidden[y : height - y, x : width - x] = True
    return hidden


def mask_figure(system: VJEPA, clip: Clip, hidden: Tensor | None = None) -> viz.Figure:
    """One frame of each tubelet, whole, as the encoder sees it, and with its errors.

    Args:
        system: predicts features.
        clip: a batch of one.
        hidden: bool ``[H, W]``; default :func:`center_block`.
    """
    hidden = center_block(system) if hidden is None else torch.as_tensor(hidden, dtype=torch.bool)
    found = mask_error(system, clip, hidden)
    frames = seen_frames(system, clip)[:: system.config.encoder.tubelet_size]
    rows = {
        "real": frames,
        "seen": paint(frames, hidden.float().expand(len(frames), -1, -1), viz.NEUTRAL, 1.0),
        "error": paint(frames, found.shades().nan_to_num(), viz.DREAM, 0.9),
    }
    return viz.strip(
        rows,
        [f"frame {i * system.config.encoder.tubelet_size + 1}" for i in range(len(frames))],
        colors={"real": viz.REAL, "seen": viz.NEUTRAL},
        alt=f"A clip; the same with {int(hidden.sum())} of {hidden.numel()} places hidden; and the "
        f"error of the guess in each of them, {found.mean:.2f} on average where the mean of what "
        f"is seen would give {found.baseline:.2f}.",
    )


def seen_frames(system: VJEPA, clip: Clip) -> Tensor:
    """The frames of the first clip that the encoder looks at, uint8 ``[T, C, H, W]``."""
    stride, count = system.config.frame_stride, system.config.encoder.frames
    return clip.frames[0, : stride * (count - 1) + 1 : stride]


def paint(frames: Tensor, strength: Tensor, color: str, most: float) -> Tensor:
    """Lays a color over places: strength 0 leaves a place as it is, 1 or more covers ``most``.

    Args:
        frames: uint8 ``[T, 3, H, W]``.
        strength: float ``[T, h, w]``, of a grid that divides the frame.
        color: such as ``"#d9642c"``.
        most: opacity at full strength, 0 to 1.
    """
    rgb = torch.tensor([int(color[i : i + 2], 16) for i in (1, 3, 5)]).view(3, 1, 1)
    cell = frames.shape[-1] // strength.shape[-1]
    opacity = most * strength.clamp(0, 1)[:, None]
    opacity = opacity.repeat_interleave(cell, -1).repeat_interleave(cell, -2)
    return (frames * (1 - opacity) + rgb * opacity).round().to(torch.uint8)


def playground(system: VJEPA, clips: Clip, width: int = 256) -> Any:
    """Draw a mask on a clip, with the mouse or the keyboard, and see where the error falls.

    Args:
        system: a V-JEPA that predicts features.
        clips: one or more clips to choose from.
        width: of each picture on the page, in CSS pixels.

    Returns:
        A widget; the still picture of :func:`mask_figure` where there can be none.
    """
    if system.config.predict != "features":
        raise ValueError("The playground needs a V-JEPA that predicts features, not pixels.")
    if sys.platform == "emscripten" or find_spec("anywidget") is None:
        return mask_figure(system, clips[:1])
    return _widget_class()(system, clips, width)


def _widget_class() -> type:
    """The widget; its class is made at the first use, so that this file needs no anywidget."""
    global _Playground
    if _Playground is not None:
        return _Playground
    import anywidget
    import traitlets

    class MaskPlayground(anywidget.AnyWidget):
        """Two pictures: the clip under your mask, and the error where it is hidden.

        Frames and errors travel as messages and are never part of the widget's saved state.
        """

        _esm = script(_HERE / "mask.js")
        _css = styles(_HERE / "mask.css")
        config = traitlets.Dict().tag(sync=True)

        def __init__(self, system: VJEPA, clips: Clip, width: int) -> None:
            self.system, self.clips = system, clips
            time, rows, columns = system.config.encoder.grid
            first = seen_frames(system, clips[:1])
            super().__init__(
                config={
                    "frames": len(first),
                    "size": list(first.shape[-2:]),
                    "grid": [time, rows, columns],
                    "clips": len(clips),
                    "width": width,
                    "hidden": center_block(system).flatten().int().tolist(),
                    "shades": [CLEAR, FULL],
                }
            )
            self.on_msg(lambda _, message, buffers: self.answer(message))

        def answer(self, message: dict[str, Any]) -> None:
            """Replies to what the browser asks: ``{"clip": number, "hidden": [0, 1, ...]}``."""
            _, rows, columns = self.system.config.encoder.grid
            number = int(message["clip"]) % len(self.clips)
            clip = self.clips[number : number + 1]
            reply: dict[str, Any] = {"type": "answer", "clip": number, "id": message.get("id")}
            try:
                hidden = torch.tensor(message["hidden"], dtype=torch.bool).view(rows, columns)
                found = mask_error(self.system, clip, hidden)
                places = found.places.nan_to_num(-1).flatten().tolist()
                reply |= {"places": places, "mean": found.mean, "baseline": found.baseline}
            except (ValueError, RuntimeError) as error:
                reply["note"] = str(error)
            frames = seen_frames(self.system, clip).permute(0, 2, 3, 1)
            self.send(reply, [np.ascontiguousarray(frames.numpy()).tobytes()])

        def __repr__(self) -> str:
            return "A mask playground: run this cell to draw a mask on a clip."

    _Playground = MaskPlayground
    return _Playground


_Playground: type | None = None
