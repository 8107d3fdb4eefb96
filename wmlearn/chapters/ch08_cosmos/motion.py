"""How a car moved, read off two frames without learning: the motion that lays one on the other.

The camera rides with the car and turns with it, so whatever stands still moves between two frames
as one rigid body. The motion is found by Gauss and Newton's method on the difference of the two
pictures, in meters: vertical and horizontal pixels are of different size.

Shapes: B drives, T frames, K motions. A motion is (ahead, to the right, left turn): meters, meters
and radians, in the direction in which the car pointed before it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.envs.driving import CAR, ROAD_WIDTH, STATE

PIXELS = (1.1849, 1.4811)
"""Pixels of a meter, horizontally and vertically (Gymnasium's zoom, cut and resized)."""
MIDDLE = (31.5, 54.36)
"""Column and row of the car's middle."""
CHUNK = 4  # frames from one of the two to the other
_ROWS, _COLUMNS = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
RIGHT, AHEAD = (_COLUMNS - MIDDLE[0]) / PIXELS[0], (MIDDLE[1] - _ROWS) / PIXELS[1]
GROUND = torch.ones(64, 64)  # 0 where the car is: it does not move with the ground
GROUND[CAR[0], CAR[1].start + 3 : CAR[1].stop - 3] = 0
_OUTLIER = 0.15  # differences above this, of 4, count less and less


def compose(motions: Tensor) -> Tensor:
    """Motions ``[B, K, 3]`` one after another -> where each ends ``[B, K, 3]``.

    A place is (right, ahead, turned left), seen from where the first began.
    """
    place, places = motions.new_zeros(len(motions), 3), []
    for motion in motions.unbind(1):
        place = moved(place, motion)
        places.append(place)
    return torch.stack(places, 1)


def moved(place: Tensor, motion: Tensor) -> Tensor:
    """A place ``[B, 3]`` after a motion ``[B, 3]``."""
    (x, y, angle), (ahead, right, turn) = place.unbind(-1), motion.unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack(
        [x + right * cos - ahead * sin, y + right * sin + ahead * cos, angle + turn], -1
    )


def between(before: Tensor, after: Tensor) -> Tensor:
    """The motion ``[B, 3]`` from one place to another."""
    x, y, turn = (after - before).unbind(-1)
    cos, sin = before[:, 2].cos(), before[:, 2].sin()
    return torch.stack([cos * y - sin * x, cos * x + sin * y, turn], -1)


def true_motions(state: Tensor) -> Tensor:
    """The simulator's ``[B, 4 K + 1, STATE]`` -> motions of each chunk ``[B, K, 3]``."""
    columns = [STATE.index(name) for name in ("x", "y", "angle")]
    pose = state[:, ::CHUNK, columns].double()
    motion = between(pose[:, :-1].flatten(0, 1), pose[:, 1:].flatten(0, 1))
    turn = (motion[:, 2] + math.pi) % (2 * math.pi) - math.pi
    return torch.cat([motion[:, :2], turn[:, None]], 1).float().unflatten(0, (len(state), -1))


def path_error(motions: Tensor, truth: Tensor, frame: int) -> Tensor:
    """Distance of two cars that began alike at a frame, in road widths: ``[B]``.

    Args:
        motions, truth: of chunks, ``[B, K, 3]``.
        frame: its number, at most 4 K; between chunks both go straight.
    """
    before, part = divmod(frame, CHUNK)
    ends = []
    for path in map(compose, (motions, truth)):
        path = F.pad(path, (0, 0, 1, 0))[..., :2]
        after = path[:, min(before + 1, path.shape[1] - 1)]
        ends.append(path[:, before].lerp(after, part / CHUNK))
    return (ends[0] - ends[1]).norm(dim=-1) / ROAD_WIDTH


# --- one frame laid on another -------------------------------------------------------------------


def seen_from(frames: Tensor, motion: Tensor, x: Tensor = RIGHT, y: Tensor = AHEAD):
    """A picture as it would look after a motion.

    Args:
        frames: float ``[B, C, 64, 64]``.
        motion: ``[B, 3]``.
        x, y: meters to the right of and ahead of the car there, ``[h, w]``.

    Returns:
        ``[B, C, h, w]``, and whether ground was in sight there before, bool ``[B, h, w]``.
    """
    ahead, right, turn = (part.view(-1, 1, 1) for part in motion.unbind(-1))
    cos, sin = turn.cos(), turn.sin()
    column = MIDDLE[0] + PIXELS[0] * (cos * x - sin * y + right)
    row = MIDDLE[1] - PIXELS[1] * (sin * x + cos * y + ahead)
    grid = torch.stack([column, row], -1) / 31.5 - 1
    both = torch.cat([frames, GROUND.expand(len(frames), 1, 64, 64)], 1)
    shown = F.grid_sample(both, grid, align_corners=True, padding_mode="border")
    inside = (column >= 0) & (column <= 63) & (row >= 0) & (row <= 63)
    return shown[:, :-1], inside & (shown[:, -1] > 0.95)


def _blurred(frames: Tensor, sigma: float) -> Tensor:
    """uint8 ``[B, 3, 64, 64]`` -> 0..4, by a Gaussian."""
    reach = int(3 * sigma + 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    x = frames.float() / 64
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), kernel, groups=3)
    kernel = kernel.transpose(2, 3)
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel, groups=3)


def misfit(before: Tensor, after: Tensor, motion: Tensor, step: int = 2) -> Tensor:
    """How badly a motion lays one blurred picture on the other: ``[B]``."""
    cut = (slice(None, None, step),) * 2
    shown, valid = seen_from(before, motion, RIGHT[cut], AHEAD[cut])
    weight = valid * GROUND[cut]
    error = (shown - after[..., ::step, ::step]).square().sum(1)
    error = (error + _OUTLIER**2).sqrt() - _OUTLIER
    return (error * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=30)


def refine(before: Tensor, after: Tensor, motion: Tensor, rounds: int, step: int = 1) -> Tensor:
    """Gauss and Newton: the motion ``[B, 3]`` that lays ``before`` on ``after``, near a given one.

    Args:
        before, after: blurred pictures ``[B, 3, 64, 64]``.
        motion: where it begins.
        rounds: of the method.
        step: every so many pixels are looked at, each way.
    """
    cut = (slice(None, None, step),) * 2
    x, y, ground = RIGHT[cut], AHEAD[cut], GROUND[cut]
    wide = F.pad((before[..., 2:] - before[..., :-2]) / 2, (1, 1, 0, 0)) * PIXELS[0]
    high = F.pad((before[..., :-2, :] - before[..., 2:, :]) / 2, (0, 0, 1, 1)) * PIXELS[1]
    least = torch.diag(torch.tensor([0.01, 0.01, 1.0]))
    most = torch.tensor([2.0, 1.0, 0.1])
    for _ in range(rounds):
        shown, valid = seen_from(torch.cat([before, wide, high], 1), motion, x, y)
        shown, right, ahead = shown.chunk(3, 1)
        cos, sin = (f(motion[:, 2]).view(-1, 1, 1, 1) for f in (torch.cos, torch.sin))
        turn = right * (-sin * x - cos * y) + ahead * (cos * x - sin * y)
        slopes = torch.stack([ahead, right, turn], -1)
        error = shown - after[..., ::step, ::step]
        weight = valid * ground / (error.square().sum(1) / _OUTLIER**2 + 1).sqrt()
        square = torch.einsum("bchwi,bchwj,bhw->bij", slopes, slopes, weight) + least
        pull = torch.einsum("bchwi,bchw,bhw->bi", slopes, error, weight)
        motion = motion - torch.linalg.solve(square, pull).clamp(-most, most)
    return motion


@torch.inference_mode()
def read_motions(frames: Tensor, first: Tensor | None = None) -> Tensor:
    """Motions from each fourth frame to the next, read off pictures.

    The motion from frame to frame is followed from a first one, and each four of them are where
    the search between frames that are four apart begins.

    Args:
        frames: uint8 ``[B, 4 K + 1, 3, 64, 64]``.
        first: the motion of a frame before, ``[B, 3]``; None: every likely one is tried.

    Returns:
        ``[B, K, 3]``.
    """
    soft = [_blurred(f, 1.5) for f in frames.unbind(1)]
    motion = _likely(frames[:, 0], frames[:, 1]) if first is None else first
    usual, steps = motion, []
    for before, after in zip(soft[:-1], soft[1:], strict=True):
        found = [refine(before, after, m, 5, 2) for m in (motion, usual)]
        worse = misfit(before, after, found[0]) > misfit(before, after, found[1])
        motion = torch.where(worse[:, None], found[1], found[0])
        usual = 0.7 * usual + 0.3 * motion
        steps.append(motion)
    begin = [
        compose(torch.stack(steps[k : k + CHUNK], 1))[:, -1] for k in range(0, len(steps), CHUNK)
    ]
    begin = torch.stack(begin, 1).flatten(0, 1)[:, [1, 0, 2]]
    sharp = _blurred(frames[:, ::CHUNK].flatten(0, 1), 1.0).unflatten(0, (len(frames), -1))
    found = refine(sharp[:, :-1].flatten(0, 1), sharp[:, 1:].flatten(0, 1), begin, 10)
    return found.unflatten(0, (len(frames), -1))


def _likely(before: Tensor, after: Tensor) -> Tensor:
    """Of a grid of motions of one frame, the one that fits best: ``[B, 3]``."""
    before, after = _blurred(before, 2.0), _blurred(after, 2.0)
    steps = ((-0.8, 3.3, 0.8), (-0.3, 0.4, 0.3), (-0.24, 0.25, 0.08))
    grid = torch.cartesian_prod(*(torch.arange(*s) for s in steps))
    fits = [misfit(before, after, motion.expand(len(before), -1), 3) for motion in grid]
    return grid[torch.stack(fits).argmin(0)]
