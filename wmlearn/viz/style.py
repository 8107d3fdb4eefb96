"""What every figure shares: two hues with a meaning, one style, and how a notebook shows it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image
from torch import Tensor

REAL = "#1f9e77"
"""The real environment. Contrast 3.4:1 on white, 5.5:1 on #121212."""
DREAM = "#d9642c"
"""The learned world. Contrast 3.6:1 on white, 5.2:1 on #121212."""
NEUTRAL = "#767676"
"""Text, ticks, grid, baselines. Contrast 4.5:1 on white, 4.1:1 on #121212."""

MAX_BYTES = 60_000
DPI = 144  # one and a half image pixels for each pixel (96 to the inch) of the page


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


class Shown:
    """An image with alt text that a notebook shows as HTML."""

    alt: str

    def encoded(self, max_bytes: int = MAX_BYTES) -> tuple[str, bytes, int]:
        """Mime type, bytes and width on the page in pixels."""
        raise NotImplementedError

    def html(self, max_bytes: int = MAX_BYTES) -> str:
        """``<img>`` with the image inside."""
        mime, content, width = self.encoded(max_bytes)
        data = base64.b64encode(content).decode()
        return (
            f'<img alt="{escape(self.alt)}" width="{width}" style="max-width:100%;height:auto" '
            f'src="data:{mime};base64,{data}">'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}


def listed(items: Any) -> str:
    """``a, b and c``."""
    *first, last = [str(item) for item in items] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def as_frames(frames: Tensor | np.ndarray) -> Tensor:
    """uint8 ``[T, C, H, W]`` on the CPU, or an error that says what frames are."""
    frames = torch.as_tensor(frames).detach().cpu()
    if frames.ndim != 4 or frames.dtype != torch.uint8 or frames.shape[1] not in (1, 3):
        raise ValueError(
            "Frames must be uint8 [T, C, H, W] with 1 or 3 channels (one clip, not a batch); "
            f"got {frames.dtype} {list(frames.shape)}."
        )
    return frames


def as_picture(frame: Tensor) -> np.ndarray:
    """``[C, H, W]`` -> ``[H, W, 3]`` or ``[H, W]``."""
    array = torch.as_tensor(frame).cpu().permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array


def encode(images: list[Image.Image], kind: str, **options: Any) -> bytes:
    """The bytes of one image, or of several as a film."""
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if len(images) > 1 else {}
    images[0].save(buffer, kind, **more, **options)
    return buffer.getvalue()


def smallest(images: list[Image.Image], max_bytes: int, **options: Any) -> bytes:
    """WebP of the best quality that fits, if need be with fewer pixels."""
    for shrink in (1, 2, 4):
        smaller = [image.reduce(shrink) for image in images] if shrink > 1 else images
        for quality in (85, 65, 45, 25):
            content = encode(smaller, "WEBP", quality=quality, method=4, **options)
            if len(content) <= max_bytes:
                return content
    return content
