"""What is put into the box: families of scenes, and the range of their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wmlearn.envs.scenes.physics import BODIES, COLORS, SHAPES, Scenes

FAMILIES = ("one", "two", "hit", "bar")
"""One body moves; two move; one moves towards another that stands; one passes behind a bar."""
HELD_OUT = (("red", "square"), ("blue", "ball"), ("yellow", "square"))
"""Color and shape that are never seen together in training; each of them is seen with others."""
BAR_WIDTHS = (14.0, 24.0)
_TRIES = 200


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of what is drawn at random, uniformly.

    Attributes:
        speed: pixels a frame.
        radius: half the width of a body, pixels.
    """

    speed: tuple[float, float] = (1.0, 3.0)
    radius: tuple[float, float] = (5.0, 8.0)


TRAINED = Ranges()
BEYOND = {
    "slower": Ranges(speed=(0.2, 0.7)),
    "faster": Ranges(speed=(3.6, 5.0)),
    "smaller": Ranges(radius=(3.0, 4.2)),
    "larger": Ranges(radius=(9.0, 11.0)),
}
"""Outside of what is trained on."""


def sample_scenes(
    count: int,
    rng: np.random.Generator,
    family: str = "all",
    *,
    ranges: Ranges = TRAINED,
    combinations: str = "seen",
    bodies: int | None = None,
    size: tuple[int, int] = (64, 64),
) -> Scenes:
    """First frames at random; bodies do not overlap, and no two have one color.

    Args:
        count: N.
        rng: the source of all randomness.
        family: one of ``FAMILIES``, or "all" for a mixture.
        ranges: of speed and size.
        combinations: of color and shape: "seen" (never one of ``HELD_OUT``), "unseen" (every body
            is one of them), or "any".
        bodies: how many move, in place of the family's own number.
        size: (height, width) of the box.

    Raises:
        ValueError: an unknown family or kind of combination.
    """
    if family not in (*FAMILIES, "all"):
        raise ValueError(f"There is no family {family!r}; choose all, {', '.join(FAMILIES)}.")
    if combinations not in ("seen", "unseen", "any"):
        raise ValueError(f"combinations must be seen, unseen or any; got {combinations!r}.")
    kind = np.full(count, FAMILIES.index(family)) if family != "all" else rng.choice(
        len(FAMILIES), count, p=(0.3, 0.3, 0.2, 0.2)
    )  # fmt: skip
    number = np.array([1, 2, 2, 1])[kind] if bodies is None else np.full(count, bodies)
    there = np.arange(BODIES) < number[:, None]
    radius = rng.uniform(*ranges.radius, (count, BODIES))
    color, shape = _looks(rng, count, combinations)
    angle = rng.uniform(0, 2 * np.pi, (count, BODIES))
    speed = rng.uniform(*ranges.speed, (count, BODIES))
    position = _places(rng, there, radius, size)
    hit, bar = kind == FAMILIES.index("hit"), kind == FAMILIES.index("bar")
    way = position[:, 1] - position[:, 0]
    aim = np.arctan2(way[:, 1], way[:, 0]) + rng.uniform(-0.35, 0.35, count)
    angle[hit, 0], speed[hit, 1] = aim[hit], 0.0
    bars = np.zeros((count, 2))
    height, width = size
    middle = rng.uniform(0.45, 0.55, count) * width
    from_left = rng.random(count) < 0.5
    x = rng.uniform(radius[:, 0], np.maximum(radius[:, 0] + 1, middle - 12 - radius[:, 0]))
    position[bar, 0, 0] = np.where(from_left, x, width - x)[bar]
    tilt = rng.uniform(-0.3, 0.3, count)
    angle[bar, 0] = np.where(from_left, tilt, np.pi - tilt)[bar]
    least = 0.5 * (ranges.speed[0] + ranges.speed[1])  # so that it comes out again
    speed[bar, 0] = np.maximum(speed[bar, 0], least)
    bars[bar] = np.stack([middle, rng.uniform(*BAR_WIDTHS, count)], axis=-1)[bar]
    velocity = speed[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    velocity *= there[..., None]
    return Scenes(there, position, velocity, radius, color, shape, bars, size)


def _looks(rng: np.random.Generator, count: int, combinations: str) -> tuple[NDArray, NDArray]:
    """Color and shape ``[N, K]``; colors differ within a scene."""
    names, shapes = list(COLORS), list(SHAPES)
    held = np.zeros((len(names), len(shapes)), bool)
    for color, shape in HELD_OUT:
        held[names.index(color), shapes.index(shape)] = True
    if combinations == "unseen":
        pairs = np.argwhere(held)
        picked = pairs[rng.permuted(np.tile(np.arange(len(pairs)), (count, 1)), axis=1)[:, :BODIES]]
        return picked[..., 0], picked[..., 1]
    color = rng.permuted(np.tile(np.arange(len(names)), (count, 1)), axis=1)[:, :BODIES]
    shape = rng.integers(len(shapes), size=(count, BODIES))
    if combinations == "seen":
        shape = np.where(held[color, shape], 1 - shape, shape)
    return color, shape


def _places(rng, there: NDArray, radius: NDArray, size: tuple[int, int]) -> NDArray:
    """Centers ``[N, K, 2]`` inside the box, at least 2 pixels between any two bodies."""
    count = len(there)
    height, width = size
    high = np.stack([width - radius, height - radius], axis=-1) - 0.5
    low = np.stack([radius, radius], axis=-1) + 0.5
    position = rng.uniform(low, high)
    bad = np.arange(count)
    for _ in range(_TRIES):
        gap = np.abs(position[bad, :, None] - position[bad, None]).max(-1)
        need = radius[bad, :, None] + radius[bad, None] + 2
        close = (gap < need) & there[bad, :, None] & there[bad, None] & ~np.eye(BODIES, dtype=bool)
        bad = bad[close.any((1, 2))]
        if not len(bad):
            return position
        position[bad] = rng.uniform(low[bad], high[bad])
    raise ValueError("The bodies do not fit into the box: take fewer, or smaller ones.")
