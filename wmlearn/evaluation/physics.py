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

FAR = 45.0  # distance in RGB from the line between background and color, beyond which it is none
FAINT = 0.25  # share of a color below which a pixel counts as background
FAINT_WHITE = 0.5  # the same of white, since the bar's gray lies on the way to it
LEAST = 12.0  # pixels that make a body


@dataclass(frozen=True)
class Tracks:
    """What a tracker saw. A pixel at an edge counts by the share of the color in it.

    Attributes:
        center: float32 ``[N, T, Q, 2]``, x and y, pixels; nan where the color is not there.
        area: float32 ``[N, T, Q]``, pixels.
        fill: float32 ``[N, T, Q]``, area over that of the upright box around it, which is near 1
            for a square and near pi / 4 for a disc.
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
    ground = torch.tensor(BACKGROUND, dtype=torch.float32, device=device)
    ways = (
        torch.tensor(list(COLORS.values()), dtype=torch.float32, device=device) - ground
    )  # [Q, 3]
    pixels = frames.permute(0, 1, 3, 4, 2).float() - ground  # [N, T, H, W, 3]
    along, length = pixels @ ways.T, ways.square().sum(-1)  # [N, T, H, W, Q], [Q]
    share = (along / length).clamp(0, 1)
    apart = pixels.square().sum(-1, keepdim=True) - share * (2 * along - share * length)
    least, color = apart.min(-1)  # squared distance from the nearest line, and whose it is
    bar = (pixels - (torch.tensor(BAR, device=device) - ground)).norm(dim=-1) < FAR / 2
    there = torch.stack([color == q for q in range(len(ways))], dim=-1)
    faint = torch.full_like(length, FAINT)
    faint[list(COLORS).index("white")] = FAINT_WHITE
    keep = there & ((least < FAR**2) & ~bar)[..., None] & (share > faint)
    weight = (share * keep).movedim(-1, 2)  # [N, T, Q, H, W]
    height, width = frames.shape[-2:]
    rows, columns = weight.sum(-1), weight.sum(-2)
    area = rows.sum(-1)
    y = (rows * (torch.arange(height, device=device) + 0.5)).sum(-1) / area
    x = (columns * (torch.arange(width, device=device) + 0.5)).sum(-1) / area
    center = torch.stack([x, y], dim=-1)
    center[area < LEAST] = torch.nan
    # how high and how wide, with the shares of the outermost pixels; stray ones do not count
    tall = (weight.amax(-1) * (rows > 1)).sum(-1)
    wide = (weight.amax(-2) * (columns > 1)).sum(-1)
    return Tracks(center, area, area / (tall * wide).clamp(min=1))


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


def overlap(tracks: Tracks, truth: Truth) -> Tensor:
    """How deep the two first bodies are in each other, pixels: ``[N, T]``; 0 where they are apart.

    By the true radii at the places where they are seen; nan where one of them is not.
    """
    at = of_bodies(tracks, truth).center
    way = (at[:, :, 0] - at[:, :, 1]).abs()  # [N, T, 2]
    square = truth.shape[:, :2] == 1
    half = (truth.radius[:, :2] * square).sum(-1)[:, None, None]
    rounding = (truth.radius[:, :2] * ~square).sum(-1)[:, None]
    outside = (way - half).clamp(min=0).norm(dim=-1) + (way - half).amax(-1).clamp(max=0)
    return (rounding - outside).clamp(min=0)


def momentum(velocity: Tensor, mass: Tensor, there: Tensor) -> Tensor:
    """The sum of mass times velocity: ``[N, T, 2]``; velocity ``[N, T, K, 2]``, mass ``[N, K]``."""
    return (velocity * (mass * there)[:, None, :, None]).nansum(2)


def hidden(truth: Truth, bar: Tensor) -> Tensor:
    """Whether the first body is wholly behind the bar: bool ``[N, T]``; bar ``[N, T, 2]``."""
    off = (truth.center[:, :, 0, 0] - bar[..., 0]).abs()
    return (off + truth.radius[:, None, 0] <= bar[..., 1] / 2) & (bar[..., 1] > 0)
