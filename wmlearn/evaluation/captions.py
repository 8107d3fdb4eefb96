"""Does a video show what its caption says? Read off by a tracker, attribute by attribute.

The same reading of *real* videos of the same captions is the ceiling; that of videos which belong
to other captions is chance. Both are measured, not assumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.envs.scenes.captions import DIRECTIONS, LARGE, QUICK, SLOW, SMALL, Said, parse
from wmlearn.envs.scenes.physics import COLORS, SHAPES
from wmlearn.evaluation.controllability import derangement
from wmlearn.evaluation.physics import Tracks, track
from wmlearn.metrics import Estimate, mean_estimate

ATTRIBUTES = ("color", "shape", "motion", "size", "pace")
ROUND = 0.89  # fill below which a body is a ball
FIRST = 4  # frames that tell direction and pace
STILL = 0.35  # pixels a frame


@dataclass(frozen=True)
class Adherence:
    """Shares of what was said that is shown, each with its ceiling and chance.

    Attributes:
        shown: attribute -> share; "all" for all of them together.
        ceiling: the same for real videos of the same captions; empty without them.
        chance: the same for the videos in another order.
        prompts: how many.
    """

    shown: dict[str, Estimate]
    ceiling: dict[str, Estimate]
    chance: dict[str, Estimate]
    prompts: int


def adherence(
    frames: Tensor, texts: Sequence[str], real: Tensor | None = None, seed: int = 0
) -> Adherence:
    """How far videos show what their captions say.

    Args:
        frames: uint8 ``[N, T, 3, H, W]``.
        texts: N captions.
        real: uint8 ``[N, T, 3, H, W]``, true videos of the same captions.
        seed: of the other order, and of the intervals.
    """
    said = [parse(text) for text in texts]
    tracks = track(frames)
    order = derangement(len(said), seed)
    return Adherence(
        _scores(tracks, said),
        {} if real is None else _scores(track(real), said),
        _scores(tracks, [said[i] for i in order.tolist()]),
        len(said),
    )


def _scores(tracks: Tracks, said: Sequence[Sequence[Said]]) -> dict[str, Estimate]:
    found: dict[str, list[tuple[int, bool]]] = {name: [] for name in (*ATTRIBUTES, "all")}
    for row, bodies in enumerate(said):
        for body in bodies:
            for name, right in check(tracks, row, body).items():
                found[name].append((row, right))
                found["all"].append((row, right))
    return {
        name: mean_estimate(
            torch.tensor([right for _, right in pairs]).double(),
            groups=torch.tensor([row for row, _ in pairs]),
        )
        for name, pairs in found.items()
        if pairs
    }


def check(tracks: Tracks, row: int, body: Said) -> dict[str, bool]:
    """Which of the attributes that were said of a body one video shows."""
    q = list(COLORS).index(body.color)
    there = tracks.there[row, :, q]
    shown = {"color": bool(there.float().mean() > 0.5)}
    fill, area = (part[row, :, q][there] for part in (tracks.fill, tracks.area))
    kind = SHAPES[int(len(fill) > 0 and float(fill.quantile(0.75)) > ROUND)]
    shown["shape"] = shown["color"] and kind == body.shape
    center = tracks.center[row, :FIRST, q]
    way = (center[-1] - center[0]) / (FIRST - 1)
    speed = float(way.norm())  # nan where it is not seen: then nothing below is right
    if body.motion == "still":
        shown["motion"] = speed < STILL
    elif body.motion:
        angle = math.atan2(float(way[1]), float(way[0]))
        wanted = DIRECTIONS.index(body.motion) * math.pi / 4
        off = abs((angle - wanted + math.pi) % (2 * math.pi) - math.pi)
        shown["motion"] = speed >= STILL and off <= math.pi / 8 + 0.15
    if body.pace:
        shown["pace"] = speed < (SLOW + 0.3) if body.pace == "slowly" else speed > (QUICK - 0.3)
    if body.size and len(area):
        side = 4.0 if body.shape == "square" else math.pi
        radius = math.sqrt(float(area.median()) / side)
        small = body.size == "small"
        shown["size"] = radius < SMALL + 0.3 if small else radius > LARGE - 0.3
    elif body.size:
        shown["size"] = False
    return shown
