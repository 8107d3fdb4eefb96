"""What is said of a scene: a small grammar over what is true in it.

    caption  := body ("and" body)* ("behind" "a" "gray" "bar")? ("and" outcome)?
    body     := ("a" | "an") size? color shape motion?
    motion   := "stands" "still"  |  "moves" pace? direction
    outcome  := "they" "collide"  |  "it" "hits" "a" "wall"

Sizes, paces, motions and outcomes may be left out; without an outcome nothing is said of what
happens later. A caption is computed from the state, so it is never wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wmlearn.envs.scenes.physics import BODIES, COLORS, SHAPES, Scenes
from wmlearn.envs.scenes.sample import HELD_OUT

__all__ = ["HELD_OUT", "Said", "caption", "captions", "parse", "vocabulary"]

DIRECTIONS = (
    "right", "down right", "down", "down left", "left", "up left", "up", "up right",
)  # fmt: skip
"""In steps of 45 degrees, clockwise as the picture's y goes down."""
SMALL, LARGE = 5.8, 7.2
SLOW, QUICK = 1.6, 2.4
_GLUE = "a an and moves stands still behind gray bar they collide it hits wall"


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption may hold, in a fixed order."""
    words = [*COLORS, *SHAPES, "small", "large", "slowly", "quickly", *_GLUE.split()]
    words += ["right", "left", "up", "down"]
    return tuple(words)


@dataclass(frozen=True)
class Said:
    """What a caption says of one body; None where it says nothing.

    Attributes:
        motion: one of ``DIRECTIONS``, or "still".
    """

    color: str
    shape: str
    motion: str | None = None
    size: str | None = None
    pace: str | None = None


def captions(
    state: NDArray, touched: NDArray, rng: np.random.Generator, outcome: float = 0.0
) -> list[str]:
    """A caption for each scene; see :func:`caption`.

    Args:
        state: ``[N, T, S]`` and touched ``[N, T, K + 1, K]``, as ``simulate`` gives them.
        rng: leaves out sizes and paces, and changes the order of the bodies.
        outcome: the share of captions that also say what happens later.
    """
    said = []
    for row in range(len(state)):
        tells = rng.random() < outcome
        said.append(caption(state[row], touched[row] if tells else None, rng))
    return said


def caption(
    state: NDArray, touched: NDArray | None = None, rng: np.random.Generator | None = None
) -> str:
    """What is true of one scene.

    Args:
        state: ``[T, S]``; the first frame says all but the outcome.
        touched: bool ``[T, K + 1, K]``; given, the outcome is said, too.
        rng: each size and pace is said with probability one half, each motion with nine tenths,
            and bodies come in any order; without it everything is said, in the state's order.
    """
    scene = Scenes.from_state(state[:1])
    order = [k for k in range(BODIES) if scene.there[0, k]]
    if rng is not None:
        order = rng.permutation(order).tolist()
    parts = []
    for k in order:
        extra = (True,) * 3 if rng is None else rng.random(3) < (0.5, 0.5, 0.9)
        parts.append(_body(scene, k, *extra))
    text = " and ".join(parts)
    if scene.bar[0, 1] > 0:
        text += " behind a gray bar"
    if touched is None:
        return text
    met, wall = touched[:, :BODIES].any(), touched[:, BODIES].any()
    if met:
        return text + " and they collide"
    return text + " and it hits a wall" if wall and len(order) == 1 else text


def _body(scene: Scenes, k: int, with_size: bool, with_pace: bool, with_motion: bool) -> str:
    words = []
    if with_size:
        words += _grade(scene.radius[0, k], SMALL, LARGE, "small", "large")
    words += [list(COLORS)[scene.color[0, k]], SHAPES[scene.shape[0, k]]]
    words = ["an" if words[0][0] in "aeiou" else "a", *words]
    if not with_motion:
        return " ".join(words)
    vx, vy = scene.velocity[0, k]
    speed = float(np.hypot(vx, vy))
    if speed < 0.05:
        return " ".join([*words, "stands still"])
    words.append("moves")
    if with_pace:
        words += _grade(speed, SLOW, QUICK, "slowly", "quickly")
    return " ".join([*words, DIRECTIONS[direction_of(vx, vy)]])


def direction_of(vx: float, vy: float) -> int:
    """The index of the nearest of ``DIRECTIONS``."""
    return round(float(np.arctan2(vy, vx)) / (np.pi / 4)) % 8


def _grade(value: float, low: float, high: float, below: str, above: str) -> list[str]:
    return [below] if value < low else [above] if value > high else []


_BODY = re.compile(
    rf"\ban? (?:(?P<size>small|large) )?(?P<color>{'|'.join(COLORS)}) (?P<shape>{'|'.join(SHAPES)})"
    rf"(?: (?P<still>stands still)| moves(?: (?P<pace>slowly|quickly))?"
    rf"(?: (?P<direction>{'|'.join(sorted(DIRECTIONS, key=len, reverse=True))})))?\b"
)


def parse(text: str) -> list[Said]:
    """What a caption says of each body, in its order; nothing of what it does not understand."""
    said = []
    for found in _BODY.finditer(" ".join(text.lower().replace(",", " ").split())):
        parts = found.groupdict()
        motion = "still" if parts.pop("still") else parts.pop("direction")
        parts.pop("direction", None)
        said.append(Said(motion=motion, **parts))
    return said
