"""How like is a frame to those that a world was trained on?

A dream that goes wrong does not stop: it shows pictures that no recording holds, sharp and calm. No
pixel tells, but a handful of figures of the whole picture do, if they are asked together: its mean
color, how much the color varies, and how often it changes across and down. A frame is unlike the
training's where these figures lie in a place that few training frames share. The distance to the
*nearest* training frame would not do: an empty picture is near some rare frame of a high jump.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_FRAMES = 3000  # of the training that are kept: as many rows of eight figures
NEIGHBORS = 0.02  # share of them that must lie within the distance
PASSES = 0.95  # share of held-out real frames that are at the bar or nearer


def describe(frames: Tensor) -> Tensor:
    """Eight figures of a picture, seen at half its size so that a texture does not count.

    Args:
        frames: uint8 ``[..., 3, H, W]``.

    Returns:
        float32 ``[..., 8]``: mean of each color and its standard deviation over the places, and the
        mean absolute change of gray from one pixel to the next, across and down; in 0 .. 1.
    """
    x = F.avg_pool2d(frames.reshape(-1, *frames.shape[-3:]).float() / 255, 2)
    gray = x.mean(1)
    across = (gray[..., 1:] - gray[..., :-1]).abs().mean((1, 2))
    down = (gray[:, 1:] - gray[:, :-1]).abs().mean((1, 2))
    figures = torch.cat([x.mean((2, 3)), x.std((2, 3)), across[:, None], down[:, None]], dim=1)
    return figures.view(*frames.shape[:-3], -1)


@dataclass(frozen=True)
class Likeness:
    """A measure made of real frames alone; no dream took part in it.

    Attributes:
        mean: float ``[8]``, of the training frames' figures.
        whiten: float ``[8, 8]``; (figures - mean) @ whiten has variance 1 and no correlations.
        bank: float ``[N, 8]``, the whitened figures of N training frames.
        bar: float ``[]``, the distance within which ``PASSES`` of held-out real frames lie.
    """

    mean: Tensor
    whiten: Tensor
    bank: Tensor
    bar: Tensor

    @classmethod
    def of_frames(cls, training: Tensor, held_out: Tensor) -> Likeness:
        """The measure of a recording.

        Args:
            training: uint8 ``[N, 3, H, W]``, N >= 100; of more than ``MOST_FRAMES``, evenly many.
            held_out: uint8 ``[M, 3, H, W]`` of other episodes; they set the bar.

        Raises:
            ValueError: there are too few frames.
        """
        if len(training) < 100 or len(held_out) < 20:
            raise ValueError(
                "A likeness needs 100 training frames and 20 held-out ones; got "
                f"{len(training)} and {len(held_out)}."
            )
        rows = torch.linspace(0, len(training) - 1, min(len(training), MOST_FRAMES)).long()
        figures = describe(training[rows])
        mean, scale = figures.mean(0), figures.std(0).clamp(min=1e-3)
        values, axes = torch.linalg.eigh(torch.cov(((figures - mean) / scale).T))
        # figures that hardly vary apart from the others would count for their noise
        whiten = axes / values.clamp(min=0.02).sqrt() / scale[:, None]
        measure = cls(mean, whiten, (figures - mean) @ whiten, torch.ones(()))
        bar = measure.distance(held_out).quantile(PASSES)
        return cls(mean, whiten, measure.bank, bar)

    def distance(self, frames: Tensor) -> Tensor:
        """Within which distance of a frame lie ``NEIGHBORS`` of the training frames?

        uint8 ``[..., 3, H, W]`` -> float ``[...]``, in standard deviations.
        """
        place = (describe(frames.to(self.mean.device)) - self.mean) @ self.whiten
        far = torch.cdist(place.view(-1, place.shape[-1]), self.bank)
        nearest = far.kthvalue(max(1, round(NEIGHBORS * len(self.bank))), dim=1).values
        return nearest.view(frames.shape[:-3])

    def __call__(self, frames: Tensor) -> Tensor:
        """The likeness of frames uint8 ``[..., 3, H, W]``: bar / distance, float ``[...]``.

        1 and above: as like as ``PASSES`` of the held-out real frames. Below 1: less than those.
        """
        return self.bar / self.distance(frames).clamp(min=1e-6)

    def tensors(self) -> dict[str, Tensor]:
        """What a file of it holds."""
        return {field.name: getattr(self, field.name).contiguous() for field in fields(self)}
