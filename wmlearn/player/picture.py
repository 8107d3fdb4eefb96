"""Pictures of a game: real and dream side by side, as PNG and as GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wmlearn.player.session import View

REAL, DREAM, INK = "#1f9e77", "#d9642c", "#767676"
PAPER, CLEAR = "#ffffff", "#76767600"
_GAP, _HEAD = 12, 26


def compose(view: View, width: int = 256, paper: str = PAPER) -> Image.Image:
    """Both frames with their labels and the PSNR, each about ``width`` pixels wide."""
    scale = max(1, round(width / view.dream.shape[1]))
    sides = [("dream", DREAM, view.dream, view.dream_return)]
    if view.real is not None:
        sides.insert(0, ("real", REAL, view.real, view.real_return))
    height, width = scale * view.dream.shape[0], scale * view.dream.shape[1]
    size = (len(sides) * width + (len(sides) + 1) * _GAP, height + _HEAD + _GAP)
    picture = Image.new("RGB" if paper == PAPER else "RGBA", size, paper)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)
    for column, (name, color, frame, total) in enumerate(sides):
        left = _GAP + column * (width + _GAP)
        scaled = np.repeat(np.repeat(frame, scale, axis=0), scale, axis=1)
        picture.paste(Image.fromarray(scaled), (left, _HEAD))
        draw.text((left, 5), name, fill=color, font=font)
        draw.text((left + width, 5), f"return {total:.0f}", fill=INK, font=font, anchor="ra")
    if np.isfinite(view.psnr):
        draw.text((size[0] / 2, 5), f"{view.psnr:.1f} dB", fill=INK, font=font, anchor="ma")
    return picture


def png(view: View, width: int = 256) -> bytes:
    """``compose`` as the bytes of a PNG file, on a clear ground for light and dark pages."""
    out = io.BytesIO()
    compose(view, width, CLEAR).save(out, "PNG")
    return out.getvalue()


def gif(views: Sequence[View], fps: float, width: int = 192) -> bytes:
    """The bytes of an endless GIF; its clock has steps of 10 ms, so ``fps`` is met roughly.

    Raises:
        ValueError: there are no views.
    """
    if not views:
        raise ValueError("Nothing was played yet: there is no frame for a GIF.")
    pictures = [compose(view, width).quantize(128, dither=Image.Dither.NONE) for view in views]
    out = io.BytesIO()
    pictures[0].save(
        out,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=max(20, round(100 / fps) * 10),
        loop=0,
    )
    return out.getvalue()
