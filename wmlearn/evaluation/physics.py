"""What is where in a video of scenes, by color; and how far that is from the simulator's truth.

The tracker finds each color's pixels. Its own error on real pictures, the *floor*, is printed
beside every figure that it gives: nothing below it means anything.

Shapes: N videos, T frames, Q colors of ``COLORS``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.envs.scenes.draw import BACKGROUND, BAR
from wmlearn.envs.scenes.physics import BODIES, COLORS

FAR = 70.0  # distance in RGB beyond which a pixel has no known color
LEAST = 12  # pixels that make a body


@dataclass(frozen=True)
class Tracks:
    """What a tracker saw.

    Attributes:
        center: float32 ``[N, T, Q, 2]``, x and y, pixels; nan where the color is not there.
        area: float32 ``[N, T, Q]``, pixels.
        fill: float32 ``[N, T, Q]``, area over that of the smallest upright box around it, which is
            near 1 for a square and near pi / 4 for a disc.
    """

    center: Tensor
    area: Tensor
    fill: Tensor

    @property
    def there(self) -> Tensor:
        """bool ``[N, T, Q]``."""
        return self.area >= LEAST


def track(frames: Tensor) -> Tracks:
    """Finds every color in uint8 ``[N, T, 3, H, W]``."""
    return _joined([_track(clip) for clip in frames.split(8)])


def _track(frames: Tensor) -> Tracks:
    device = frames.device
    known = [*COLORS.values(), BACKGROUND, BAR]
    palette = torch.tensor(known, dtype=torch.float32, device=device)
    pixels = frames.permute(0, 1, 3, 4, 2).float()  # [N, T, H, W, 3]
    apart = torch.cdist(pixels.flatten(0, 3), palette).view(*pixels.shape[:-1], -1)
    nearest, color = apart.min(-1)
    color = torch.where(nearest < FAR, color, len(known))
    height, width = frames.shape[-2:]
    masks = torch.stack([color == q for q in range(len(COLORS))], dim=2).float()  # [N, T, Q, H, W]
    rows, columns = masks.sum(-1), masks.sum(-2)
    area = rows.sum(-1)
    y = (rows * (torch.arange(height, device=device) + 0.5)).sum(-1) / area
    x = (columns * (torch.arange(width, device=device) + 0.5)).sum(-1) / area
    center = torch.stack([x, y], dim=-1)
    center[area < LEAST] = torch.nan
    # rows and columns with a single stray pixel do not count for the box
    box = (rows > 1).sum(-1) * (columns > 1).sum(-1)
    return Tracks(center, area, area / box.clamp(min=1))


def _joined(parts: list[Tracks]) -> Tracks:
    return Tracks(*(torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])))


@dataclass(frozen=True)
class Truth:
    """The same from the simulator's states.

    Attributes:
        there: bool ``[N, K]``.
        color: int64 ``[N, K]``.
        center: float32 ``[N, T, K, 2]``.
        velocity: float32 ``[N, T, K, 2]``.
        radius: float32 ``[N, K]``.
        shape: int64 ``[N, K]``, 0 for a ball, 1 for a square.
    """

    there: Tensor
    color: Tensor
    center: Tensor
    velocity: Tensor
    radius: Tensor
    shape: Tensor

    @staticmethod
    def of(state: Tensor) -> Truth:
        """From states ``[N, T, S]``."""
        bodies = state[..., :-2].view(*state.shape[:2], BODIES, -1)
        first = bodies[:, 0]
        return Truth(
            first[..., 0] > 0.5,
            first[..., 6].round().long(),
            bodies[..., 1:3],
            bodies[..., 3:5],
            first[..., 5],
            first[..., 7].round().long(),
        )

    @property
    def mass(self) -> Tensor:
        """``[N, K]``: areas in pixels."""
        return torch.where(self.shape == 1, 4.0, torch.pi) * self.radius**2


def of_bodies(tracks: Tracks, truth: Truth) -> Tracks:
    """The tracks of the true bodies' colors: ``[N, T, K, ...]`` in place of ``[N, T, Q, ...]``."""
    frames = tracks.area.shape[1]
    at = truth.color[:, None].expand(-1, frames, -1)
    return Tracks(
        tracks.center.gather(2, at[..., None].expand(-1, -1, -1, 2)),
        tracks.area.gather(2, at),
        tracks.fill.gather(2, at),
    )


def position_errors(tracks: Tracks, truth: Truth) -> Tensor:
    """Distance of each true body from where its color was seen, pixels: ``[N, T, K]``.

    nan where the body is not seen, or where there is none.
    """
    error = (of_bodies(tracks, truth).center - truth.center).norm(dim=-1)
    return error.masked_fill(~truth.there[:, None], torch.nan)


def velocity_errors(tracks: Tracks, truth: Truth) -> Tensor:
    """Error of each step between two frames, pixels a frame: ``[N, T - 1, K]``; nan as above."""
    error = (of_bodies(tracks, truth).center - truth.center).diff(dim=1).norm(dim=-1)
    return error.masked_fill(~truth.there[:, None], torch.nan)


def seen(tracks: Tracks, truth: Truth, low: float = 0.5, high: float = 1.6) -> Tensor:
    """Whether each body is seen with about its true area: float ``[N, T, K]``, nan for none."""
    share = of_bodies(tracks, truth).area / truth.mass[:, None]
    there = ((share > low) & (share < high)).float()
    return there.masked_fill(~truth.there[:, None], torch.nan)
