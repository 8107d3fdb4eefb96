"""Pictures that stand still: rows of frames, and curves.

Frames are uint8 ``[T, C, H, W]``; frame t of a strip is step t + 1 after the start unless ``times``
says otherwise.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure as MplFigure
from PIL import Image
from torch import Tensor

from wmlearn.viz.style import (
    DPI,
    DREAM,
    MAX_BYTES,
    NEUTRAL,
    REAL,
    Shown,
    as_frames,
    as_picture,
    encode,
    listed,
    smallest,
    style,
)

KINDS = ("png", "webp", "svg", "pdf")  # that a figure is saved as


class Figure(Shown):
    """A matplotlib figure with alt text.

    Attributes:
        figure: the :class:`matplotlib.figure.Figure`, to change before it is shown.
        alt: what the figure shows, in words.
    """

    def __init__(self, figure: MplFigure, alt: str) -> None:
        self.figure, self.alt = figure, alt

    def encoded(self, max_bytes: int = MAX_BYTES) -> tuple[str, bytes, int]:
        png = self._render("png", dpi=DPI)
        with Image.open(io.BytesIO(png)) as image:
            image.load()
        width = image.width * 96 // DPI
        exact = encode([image], "WEBP", lossless=True, method=4)  # half of the PNG
        if len(exact) <= max_bytes:
            return "image/webp", exact, width
        return "image/webp", smallest([image], max_bytes), width

    def save(self, path: str | Path) -> Path:
        """Writes the figure; the suffix decides: .png, .webp, .svg or .pdf."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = path.suffix.lstrip(".").lower()
        if kind not in KINDS:
            raise ValueError(f"{path.name}: figures are saved as .{', .'.join(KINDS)}.")
        path.write_bytes(self._render(kind, dpi=DPI))
        return path

    def _render(self, kind: str, **options: Any) -> bytes:
        metadata = {"svg": {"Date": None, "Description": self.alt}, "pdf": {"CreationDate": None}}
        metadata["png"] = {"Description": self.alt, "Software": None}
        buffer = io.BytesIO()
        with style():
            self.figure.savefig(
                buffer,
                format=kind,
                transparent=True,
                bbox_inches="tight",
                pad_inches=0.05,
                metadata=metadata.get(kind),
                **options,
            )
        return buffer.getvalue()


def filmstrip(
    real: Tensor,
    dream: Tensor,
    times: Sequence[int] | None = None,
    *,
    difference: bool = True,
    alt: str | None = None,
) -> Figure:
    """Rows *real*, *dream* and *difference* over time.

    Args:
        real, dream: uint8 ``[T, C, H, W]``.
        times: which frames to show, 1 is the first; default at most 8, evenly spread.
        difference: whether to show the absolute difference, black where they agree.
    """
    real, dream = as_frames(real), as_frames(dream)
    if real.shape != dream.shape:
        raise ValueError(
            f"Real and dream must have one shape; got {list(real.shape)} and {list(dream.shape)}."
        )
    rows = {"real": (real, REAL), "dream": (dream, DREAM)}
    if difference:
        rows["difference"] = ((real.int() - dream.int()).abs().to(torch.uint8), NEUTRAL)
    times = _times(times, len(real))
    alt = alt or f"Real frames above dreamed frames at steps {listed(times)}."
    return _strip(rows, times, alt)


def counterfactual_strip(
    dreams: Mapping[str, Tensor],
    start: Tensor | None = None,
    times: Sequence[int] | None = None,
    *,
    alt: str | None = None,
) -> Figure:
    """One start, several futures: a row for each choice of actions.

    Args:
        dreams: name of the actions -> uint8 ``[T, C, H, W]``, all with the same T.
        start: uint8 ``[C, H, W]``, the real frame they all start from, shown first.
        times: as in :func:`filmstrip`.
    """
    rows = {name: (as_frames(frames), DREAM) for name, frames in dreams.items()}
    lengths = {len(frames) for frames, _ in rows.values()}
    if len(lengths) != 1:
        raise ValueError(f"All dreams must have the same number of frames; got {sorted(lengths)}.")
    times = _times(times, lengths.pop())
    alt = alt or f"Dreams from one start under {listed(dreams)}, at steps {listed(times)}."
    return _strip(rows, times, alt, start)


def strip(
    rows: Mapping[str, Tensor],
    titles: Sequence[str] | None = None,
    *,
    colors: Mapping[str, str] | None = None,
    alt: str,
) -> Figure:
    """Any rows of frames, with a name each.

    Args:
        rows: name -> uint8 ``[N, C, H, W]``, all with the same N.
        titles: one for each column; default 1, 2, 3, ...
        colors: name -> color of the name, e.g. :data:`REAL`; :data:`DREAM` where none is given.
    """
    colors = colors or {}
    named = {name: (as_frames(frames), colors.get(name, DREAM)) for name, frames in rows.items()}
    counts = {len(frames) for frames, _ in named.values()}
    if len(counts) != 1 or (titles is not None and {len(titles)} != counts):
        raise ValueError(f"Rows and titles need one length; the rows have {sorted(counts)} frames.")
    count = counts.pop()
    titles = list(map(str, range(1, count + 1) if titles is None else titles))
    return _strip(named, range(1, count + 1), alt, titles=titles)


def curves(
    curves: Mapping[str, Sequence[float]],
    x: Sequence[float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    colors: Mapping[str, str] | None = None,
    log: str = "",
    alt: str | None = None,
) -> Figure:
    """Several named curves over one axis.

    Args:
        curves: name -> values.
        x: of the values; default 1, 2, 3, ...
        colors: name -> color; a dashed line is drawn for :data:`NEUTRAL`. Default: the dream's
            color and gray in turn, with another dash each time.
        log: axes with a logarithmic scale, "x", "y" or "xy".
    """
    with style():
        figure = MplFigure(figsize=(6, 3))
        axes = figure.subplots()
        for (name, values), line in zip(curves.items(), _cycle(), strict=False):
            if colors and name in colors:
                dashed = colors[name] == NEUTRAL
                line = {"color": colors[name], "linestyle": "--" if dashed else "-"}
            values = [float(value) for value in values]
            line |= _marks(values)
            axes.plot(range(1, len(values) + 1) if x is None else x, values, label=name, **line)
        axes.legend()
        axes.set(xlabel=xlabel, ylabel=ylabel)
        for axis in log:
            getattr(axes, f"set_{axis}scale")("log")
    ends = [f"{name} from {v[0]:.3g} to {v[-1]:.3g}" for name, v in curves.items()]
    return Figure(figure, alt or f"{ylabel} over {xlabel}: {listed(ends)}.")


def loss_curve(
    history: Mapping[str, Sequence[float]] | Sequence[float],
    baseline: float | None = None,
    *,
    steps: Sequence[float] | None = None,
    label: str = "loss",
    baseline_label: str = "copy last frame",
    log: bool = False,
    alt: str | None = None,
) -> Figure:
    """A loss over training, beside the loss of copying the last frame.

    Args:
        history: values in order, or name -> values. The first curve has the dream's color.
        baseline: a horizontal line.
        steps: the training step of each value; default 1, 2, 3, ...
        label: of the vertical axis.
        log: logarithmic vertical axis.
    """
    curves = dict(history) if isinstance(history, Mapping) else {label: history}
    with style():
        figure = MplFigure(figsize=(6, 3))
        axes = figure.subplots()
        for (name, values), line in zip(curves.items(), _cycle(), strict=False):
            values = [float(value) for value in values]
            x = range(1, len(values) + 1) if steps is None else steps
            axes.plot(x, values, label=name, **line, **_marks(values))
        if baseline is not None:
            axes.axhline(baseline, color=NEUTRAL, linestyle="--", label=baseline_label)
        if len(curves) > 1 or baseline is not None:
            axes.legend()
        axes.set(xlabel="training step", ylabel=label)
        if log:
            axes.set_yscale("log")
    if alt is None:
        ends = [f"{name} from {v[0]:.3g} to {v[-1]:.3g}" for name, v in curves.items() if len(v)]
        alt = f"Curve over training: {listed(ends)}."
        if baseline is not None:
            alt += f" {baseline_label}: {baseline:.3g}."
    return Figure(figure, alt)


def _strip(
    rows: Mapping[str, tuple[Tensor, str]],
    times: Sequence[int],
    alt: str,
    start: Tensor | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    first = next(iter(rows.values()))[0]
    height, width = first.shape[-2:]
    columns = len(times) + (start is not None)
    cell = 0.9
    with style():
        figure = MplFigure(figsize=(cell * columns, cell * height / width * len(rows)))
        axes = figure.subplots(len(rows), columns, squeeze=False)
        figure.subplots_adjust(0, 0, 1, 1, wspace=0.06, hspace=0.06)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
        for line, (name, (frames, color)) in zip(axes, rows.items(), strict=True):
            cells = list(line)
            cells[0].set_ylabel(
                name, rotation=0, ha="right", va="center", labelpad=8, color=color, weight="bold"
            )
            if start is not None:
                axis = cells.pop(0)
                axis.imshow(as_picture(start), cmap="gray", vmin=0, vmax=255)
                axis.spines[:].set(visible=True, color=REAL, linewidth=2)
            for axis, time in zip(cells, times, strict=True):
                axis.imshow(as_picture(frames[time - 1]), cmap="gray", vmin=0, vmax=255)
        if titles is None:
            titles = [*(["start (real)"] if start is not None else []), *map(str, times)]
            titles[-len(times)] = f"step {times[0]}"
        for axis, title in zip(axes[0], titles, strict=True):
            axis.set_title(title, loc="center", pad=4, fontsize=9)
    return Figure(figure, alt)


def _marks(values: Sequence[float]) -> dict[str, Any]:
    """A dot at each value where they are few: a line through one point is not to be seen."""
    return {"marker": "o", "markersize": 4} if len(values) < 5 else {}


def _cycle() -> Iterator[dict[str, Any]]:
    """Line styles of successive curves: never the color of the real environment."""
    for dash in ("-", ":", "-.", (0, (6, 2)), (0, (1, 3))):
        yield {"color": DREAM, "linestyle": dash}
        yield {"color": NEUTRAL, "linestyle": dash}


def _times(times: Sequence[int] | None, length: int) -> list[int]:
    if times is None:
        return sorted({round(t) for t in np.linspace(1, length, min(length, 8))})
    times = [int(time) for time in times]
    if not times or min(times) < 1 or max(times) > length:
        raise ValueError(f"times must lie between 1 and {length}, the number of frames.")
    return times
