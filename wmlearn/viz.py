"""Figures that read well on light and dark pages, with alt text.

Every function returns an object that shows itself in a notebook as ``<img alt="...">`` of at most
60 KB, and has ``.save(path)``. Backgrounds are transparent, text is one neutral gray, and two
hues have a fixed meaning everywhere in the project: :data:`REAL` and :data:`DREAM`.

Frames are uint8 ``[T, C, H, W]``, as in a :class:`~wmlearn.data.clip.Clip`; frame t of a strip or
an animation is step t + 1 after the start unless ``times`` says otherwise.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure as MplFigure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

REAL = "#1f9e77"
"""The real environment. Contrast 3.4:1 on white, 5.5:1 on #121212."""
DREAM = "#d9642c"
"""The learned world. Contrast 3.6:1 on white, 5.2:1 on #121212."""
NEUTRAL = "#767676"
"""Text, ticks, grid, baselines. Contrast 4.5:1 on white, 4.1:1 on #121212."""

MAX_BYTES = 60_000
KINDS = ("png", "webp", "svg", "pdf")  # that a figure is saved as
_DPI = 144  # one and a half image pixels for each pixel (96 to the inch) of the page


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the project, inside a ``with`` block."""
    settings = {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "text.color": NEUTRAL,
        "axes.labelcolor": NEUTRAL,
        "axes.edgecolor": NEUTRAL,
        "axes.titlecolor": NEUTRAL,
        "xtick.color": NEUTRAL,
        "ytick.color": NEUTRAL,
        "legend.labelcolor": NEUTRAL,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": NEUTRAL,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "lines.linewidth": 2.0,
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "image.interpolation": "nearest",
        "svg.hashsalt": "wmlearn",
    }
    with mpl.rc_context(settings):
        yield


class _Shown:
    """An image with alt text that a notebook shows as HTML."""

    alt: str

    def encoded(self, max_bytes: int = MAX_BYTES) -> tuple[str, bytes, int]:
        """Mime type, bytes and width on the page in pixels."""
        raise NotImplementedError

    def html(self) -> str:
        """``<img>`` with the image inside."""
        mime, content, width = self.encoded()
        data = base64.b64encode(content).decode()
        return (
            f'<img alt="{escape(self.alt)}" width="{width}" style="max-width:100%;height:auto" '
            f'src="data:{mime};base64,{data}">'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}


class Figure(_Shown):
    """A matplotlib figure with alt text.

    Attributes:
        figure: the :class:`matplotlib.figure.Figure`, to change before it is shown.
        alt: what the figure shows, in words.
    """

    def __init__(self, figure: MplFigure, alt: str) -> None:
        self.figure, self.alt = figure, alt

    def encoded(self, max_bytes: int = MAX_BYTES) -> tuple[str, bytes, int]:
        png = self._render("png", dpi=_DPI)
        with Image.open(io.BytesIO(png)) as image:
            image.load()
        width = image.width * 96 // _DPI
        exact = _save([image], "WEBP", lossless=True, method=4)  # half of the PNG
        if len(exact) <= max_bytes:
            return "image/webp", exact, width
        return "image/webp", _smallest([image], max_bytes), width

    def save(self, path: str | Path) -> Path:
        """Writes the figure; the suffix decides: .png, .webp, .svg or .pdf."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = path.suffix.lstrip(".").lower()
        if kind not in KINDS:
            raise ValueError(f"{path.name}: figures are saved as .{', .'.join(KINDS)}.")
        path.write_bytes(self._render(kind, dpi=_DPI))
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


class Animation(_Shown):
    """A short looping film with alt text.

    Attributes:
        frames: uint8 ``[T, C, H, W]``.
        fps: frames per second; GIF rounds to hundredths of a second.
        scale: each pixel becomes ``scale`` x ``scale`` pixels.
    """

    def __init__(self, frames: Tensor, fps: float, alt: str, scale: int = 1) -> None:
        self.frames, self.fps, self.alt, self.scale = _frames(frames), fps, alt, scale

    def encoded(self, max_bytes: int = MAX_BYTES) -> tuple[str, bytes, int]:
        images = self._images()
        content = _smallest(images, max_bytes, **self._timing())
        return "image/webp", content, images[0].width

    def save(self, path: str | Path) -> Path:
        """Writes the film as .gif or .webp."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".gif":
            images = [image.quantize(128, dither=Image.Dither.NONE) for image in self._images()]
            path.write_bytes(_save(images, "GIF", disposal=1, **self._timing()))
        elif path.suffix.lower() == ".webp":
            path.write_bytes(_save(self._images(), "WEBP", quality=85, **self._timing()))
        else:
            raise ValueError(f"{path.name}: films are saved as .gif or .webp.")
        return path

    def _timing(self) -> dict[str, Any]:
        return {"duration": max(round(1000 / self.fps), 20), "loop": 0}

    def _images(self) -> list[Image.Image]:
        size = (self.frames.shape[-1] * self.scale, self.frames.shape[-2] * self.scale)
        return [
            Image.fromarray(_picture(frame)).resize(size, Image.Resampling.NEAREST)
            for frame in self.frames
        ]


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
    real, dream = _frames(real), _frames(dream)
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
    rows = {name: (_frames(frames), DREAM) for name, frames in dreams.items()}
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
    named = {name: (_frames(frames), colors.get(name, DREAM)) for name, frames in rows.items()}
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
            axes.plot(x, values, label=name, **line)
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


def side_by_side(real: Tensor, dream: Tensor, scale: int = 3) -> Tensor:
    """Real and dream in one film, under strips with their names.

    Args:
        real, dream: uint8 ``[T, C, H, W]``.
        scale: each pixel becomes ``scale`` x ``scale`` pixels.

    Returns:
        uint8 ``[T, 3, H', W']``, for :func:`gif`.
    """
    real, dream = _frames(real), _frames(dream)
    if real.shape != dream.shape:
        raise ValueError(
            f"Real and dream must have one shape; got {list(real.shape)} and {list(dream.shape)}."
        )
    if real.shape[1] == 1:
        real, dream = real.expand(-1, 3, -1, -1), dream.expand(-1, 3, -1, -1)
    halves = []
    for film, name, color in ((real, "real", REAL), (dream, "dream", DREAM)):
        film = film.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
        head = Image.new("RGB", (film.shape[-1], 18), color)
        font = ImageFont.load_default(size=13)
        ImageDraw.Draw(head).text((head.width / 2, 9), name, "black", font, anchor="mm")
        head = torch.from_numpy(np.array(head)).permute(2, 0, 1)
        halves.append(torch.cat([head.expand(len(film), -1, -1, -1), film], -2))
    gap = torch.full((*halves[0].shape[:-1], 4), int(NEUTRAL[1:3], 16), dtype=torch.uint8)
    return torch.cat([halves[0], gap, halves[1]], -1)


def gif(
    frames: Tensor,
    path: str | Path | None = None,
    *,
    fps: float = 12,
    scale: int = 1,
    alt: str = "A short film of frames.",
) -> Animation:
    """An animation; written to ``path`` (.gif or .webp) when one is given.

    In a notebook it shows as an animated WebP, which is several times smaller than a GIF.
    """
    animation = Animation(frames, fps, alt, scale)
    if path is not None:
        animation.save(path)
    return animation


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
                axis.imshow(_picture(start), cmap="gray", vmin=0, vmax=255)
                axis.spines[:].set(visible=True, color=REAL, linewidth=2)
            for axis, time in zip(cells, times, strict=True):
                axis.imshow(_picture(frames[time - 1]), cmap="gray", vmin=0, vmax=255)
        if titles is None:
            titles = [*(["start (real)"] if start is not None else []), *map(str, times)]
            titles[-len(times)] = f"step {times[0]}"
        for axis, title in zip(axes[0], titles, strict=True):
            axis.set_title(title, loc="center", pad=4, fontsize=9)
    return Figure(figure, alt)


def _cycle() -> Iterator[dict[str, Any]]:
    """Line styles of successive curves: never the color of the real environment."""
    for dash in ("-", ":", "-.", (0, (6, 2)), (0, (1, 3))):
        yield {"color": DREAM, "linestyle": dash}
        yield {"color": NEUTRAL, "linestyle": dash}


def _frames(frames: Tensor | np.ndarray) -> Tensor:
    frames = torch.as_tensor(frames).detach().cpu()
    if frames.ndim != 4 or frames.dtype != torch.uint8 or frames.shape[1] not in (1, 3):
        raise ValueError(
            "Frames must be uint8 [T, C, H, W] with 1 or 3 channels (one clip, not a batch); "
            f"got {frames.dtype} {list(frames.shape)}."
        )
    return frames


def _picture(frame: Tensor) -> np.ndarray:
    """``[C, H, W]`` -> ``[H, W, 3]`` or ``[H, W]``."""
    array = torch.as_tensor(frame).cpu().permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


def _times(times: Sequence[int] | None, length: int) -> list[int]:
    if times is None:
        return sorted({round(t) for t in np.linspace(1, length, min(length, 8))})
    times = [int(time) for time in times]
    if not times or min(times) < 1 or max(times) > length:
        raise ValueError(f"times must lie between 1 and {length}, the number of frames.")
    return times


def listed(items: Any) -> str:
    *first, last = [str(item) for item in items] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _save(images: list[Image.Image], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if len(images) > 1 else {}
    images[0].save(buffer, kind, **more, **options)
    return buffer.getvalue()


def _smallest(images: list[Image.Image], max_bytes: int, **options: Any) -> bytes:
    """WebP of the best quality that fits, if need be with fewer pixels."""
    for shrink in (1, 2, 4):
        smaller = [image.reduce(shrink) for image in images] if shrink > 1 else images
        for quality in (85, 65, 45, 25):
            content = _save(smaller, "WEBP", quality=quality, method=4, **options)
            if len(content) <= max_bytes:
                return content
    return content
