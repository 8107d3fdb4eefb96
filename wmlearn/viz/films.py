"""Short films of frames, uint8 ``[T, C, H, W]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from wmlearn.viz.style import (
    DREAM,
    MAX_BYTES,
    NEUTRAL,
    REAL,
    Shown,
    as_frames,
    as_picture,
    encode,
    smallest,
)


class Animation(Shown):
    """A short looping film with alt text.

    Attributes:
        frames: uint8 ``[T, C, H, W]``.
        fps: frames per second; GIF rounds to hundredths of a second.
        scale: each pixel becomes ``scale`` x ``scale`` pixels.
    """

    def __init__(self, frames: Tensor, fps: float, alt: str, scale: int = 1) -> None:
        self.frames, self.fps, self.alt, self.scale = as_frames(frames), fps, alt, scale

    def encoded(self, max_bytes: int = MAX_BYTES) -> tuple[str, bytes, int]:
        images = self._images()
        content = smallest(images, max_bytes, **self._timing())
        return "image/webp", content, images[0].width

    def save(self, path: str | Path) -> Path:
        """Writes the film as .gif or .webp."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".gif":
            images = [image.quantize(128, dither=Image.Dither.NONE) for image in self._images()]
            path.write_bytes(encode(images, "GIF", disposal=1, **self._timing()))
        elif path.suffix.lower() == ".webp":
            path.write_bytes(encode(self._images(), "WEBP", quality=85, **self._timing()))
        else:
            raise ValueError(f"{path.name}: films are saved as .gif or .webp.")
        return path

    def _timing(self) -> dict[str, Any]:
        return {"duration": max(round(1000 / self.fps), 20), "loop": 0}

    def _images(self) -> list[Image.Image]:
        size = (self.frames.shape[-1] * self.scale, self.frames.shape[-2] * self.scale)
        return [
            Image.fromarray(as_picture(frame)).resize(size, Image.Resampling.NEAREST)
            for frame in self.frames
        ]


def side_by_side(real: Tensor, dream: Tensor, scale: int = 3) -> Tensor:
    """Real and dream in one film, under strips with their names.

    Args:
        real, dream: uint8 ``[T, C, H, W]``.
        scale: each pixel becomes ``scale`` x ``scale`` pixels.

    Returns:
        uint8 ``[T, 3, H', W']``, for :func:`gif`.
    """
    real, dream = as_frames(real), as_frames(dream)
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
