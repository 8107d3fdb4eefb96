"""Bodies that fly straight until they touch: exact, from one contact to the next.

Discs and upright squares in a box, without friction, gravity or spin. Between two contacts
everything moves in straight lines, so the time of the next contact has a closed form, and no step
size enters. Two bodies touch when the difference of their centers meets the outline of a *rounded
square*: a square of half side a, grown by a radius rho,

    two discs      a = 0,        rho = r_1 + r_2
    two squares    a = r_1 + r_2, rho = 0
    one of each    a = r of the square, rho = r of the disc,

and then exchange the momentum along its normal n, with energy kept (restitution 1):

    v_1 -= m_2 / (m_1 + m_2) 2 ((v_1 - v_2) n) n,   v_2 likewise with the other sign.

Many scenes are computed at once, each with its own contacts. Lengths are pixels, times frames.

Legend: N scenes, K bodies at most in one, T frames; masses are areas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

COLORS = {
    "red": (230, 50, 50),
    "green": (60, 200, 70),
    "blue": (70, 110, 250),
    "yellow": (240, 220, 60),
    "purple": (200, 80, 220),
    "cyan": (80, 220, 230),
    "orange": (245, 140, 40),
    "white": (235, 235, 235),
}
"""Name -> RGB, in the order of the state's numbers."""
SHAPES = ("ball", "square")
BODIES = 3
"""K: the state has room for so many."""
_OF_BODY = ("there", "x", "y", "vx", "vy", "radius", "color", "shape")
STATE_NAMES = (
    *(f"{name}_{k}" for k in range(BODIES) for name in _OF_BODY),
    "bar_x",
    "bar_width",
)
"""A number each for every frame: position and velocity of the center, half the width, the index of
color and shape; then the bar's center and width (0: there is none)."""
EVENTS = 64  # contacts that are computed between two frames at most


@dataclass(frozen=True)
class Scenes:
    """What is in some boxes at one moment.

    Attributes:
        there: bool ``[N, K]``.
        position: float64 ``[N, K, 2]``, centers (x to the right, y down), pixels.
        velocity: float64 ``[N, K, 2]``, pixels a frame.
        radius: float64 ``[N, K]``, half the width.
        color: int64 ``[N, K]``, into ``COLORS``.
        shape: int64 ``[N, K]``, into ``SHAPES``.
        bar: float64 ``[N, 2]``, center and width of an upright bar in front of everything.
        size: (height, width) of the box.
    """

    there: NDArray[np.bool_]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    radius: NDArray[np.float64]
    color: NDArray[np.int64]
    shape: NDArray[np.int64]
    bar: NDArray[np.float64]
    size: tuple[int, int] = (64, 64)

    def __len__(self) -> int:
        return len(self.there)

    @property
    def mass(self) -> NDArray[np.float64]:
        """``[N, K]``, areas."""
        return np.where(self.shape == 0, np.pi, 4.0) * self.radius**2

    @property
    def state(self) -> NDArray[np.float32]:
        """``[N, S]``, in the order of ``STATE_NAMES``."""
        parts = [self.there[..., None], self.position, self.velocity]
        parts += [part[..., None] for part in (self.radius, self.color, self.shape)]
        bodies = np.concatenate(parts, axis=-1).reshape(len(self), -1)
        return np.concatenate([bodies, self.bar], axis=-1).astype(np.float32)

    @staticmethod
    def from_state(state: NDArray, size: tuple[int, int] = (64, 64)) -> Scenes:
        """The scenes of states ``[N, S]``: what happened can be run again from any frame."""
        state = np.asarray(state, np.float64)
        bodies = state[:, :-2].reshape(len(state), BODIES, len(_OF_BODY))
        there, color, shape = bodies[..., 0] > 0.5, bodies[..., 6], bodies[..., 7]
        return Scenes(
            there,
            bodies[..., 1:3].copy(),
            bodies[..., 3:5].copy(),
            bodies[..., 5].copy(),
            color.round().astype(np.int64),
            shape.round().astype(np.int64),
            state[:, -2:].copy(),
            size,
        )


def simulate(scenes: Scenes, frames: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What happens in the next frames.

    Args:
        scenes: the first frame; nothing may overlap.
        frames: T, the first one included.

    Returns:
        float32 ``[N, T, S]``, the states; and bool ``[N, T, K + 1, K]``: which body touched another
        one (the first K rows) or a wall (the last) on the way *to* this frame.
    """
    states = [scenes.state]
    none = np.zeros((len(scenes), BODIES + 1, BODIES), bool)
    touched = [none]
    for _ in range(frames - 1):
        scenes, contacts = advance(scenes, 1.0)
        states.append(scenes.state)
        touched.append(contacts)
    return np.stack(states, axis=1), np.stack(touched, axis=1)


def advance(scenes: Scenes, time: float) -> tuple[Scenes, NDArray[np.bool_]]:
    """The scenes after ``time`` frames, and who touched whom: see :func:`simulate`."""
    p, v = scenes.position.copy(), scenes.velocity.copy()
    touched = np.zeros((len(scenes), BODIES + 1, BODIES), bool)
    left = np.full(len(scenes), float(time))
    busy = np.arange(len(scenes))  # the scenes that have time left
    fixed = scenes.there, scenes.radius, scenes.shape, scenes.mass
    for _ in range(EVENTS):
        there, radius, shape, mass = (part[busy] for part in fixed)
        when, who, normal = _next_contact(p[busy], v[busy], there, radius, shape, scenes.size)
        step = np.minimum(when, left[busy])
        p[busy] += v[busy] * step[:, None, None]
        left[busy] -= step
        hit = when <= step
        rows, pair, n = busy[hit], who[hit], normal[hit]
        v[rows] = _bounced(v[rows], mass[hit], pair, n)
        first, second = pair.T
        touched[rows, np.where(second < 0, BODIES, second), first] = True
        mutual = second >= 0
        touched[rows[mutual], first[mutual], second[mutual]] = True
        busy = rows
        if not len(busy):
            break
    return replace(scenes, position=p, velocity=v), touched


def _next_contact(p, v, there, radius, shape, size) -> tuple[NDArray, NDArray, NDArray]:
    """When ``[N]``, of whom ``[N, 2]`` (-1: a wall), along which normal ``[N, 2]``."""
    height, width = size
    found = []
    for k in range(BODIES):
        for axis, far in ((0, width), (1, height)):
            room = np.where(v[:, k, axis] > 0, far - radius[:, k], radius[:, k]) - p[:, k, axis]
            when = _ratio(room, v[:, k, axis])
            when = np.where(there[:, k], np.maximum(when, 0), np.inf)
            normal = np.zeros((len(p), 2))
            normal[:, axis] = 1
            found.append((when, (k, -1), normal))
    for i in range(BODIES):
        for j in range(i + 1, BODIES):
            both = there[:, i] & there[:, j]
            when, normal = np.full(len(p), np.inf), np.zeros((len(p), 2))
            if both.any():
                sides = [(radius[both, k], shape[both, k] == 1) for k in (i, j)]
                half = sum(r * square for r, square in sides)
                rounding = sum(r * ~square for r, square in sides)
                way, speed = p[both, i] - p[both, j], v[both, i] - v[both, j]
                when[both], normal[both] = _meets(way, speed, half, rounding)
            found.append((when, (i, j), normal))
    times = np.stack([when for when, _, _ in found])
    first = times.argmin(0)
    rows = np.arange(len(p))
    who = np.array([pair for _, pair, _ in found])[first]
    normals = np.stack([normal for _, _, normal in found])
    return times[first, rows], who, normals[first, rows]


def _meets(p, v, half, rounding) -> tuple[NDArray, NDArray]:
    """When a point at p with velocity v enters the rounded square, and the normal there."""
    best, normal = np.full(len(p), np.inf), np.zeros((len(p), 2))

    def keep(when: NDArray, at: NDArray) -> None:
        sooner = when < best
        best[sooner], normal[sooner] = when[sooner], at[sooner]

    for axis in (0, 1):
        side = -np.sign(v[:, axis])  # it comes from there
        when = _ratio(side * (half + rounding) - p[:, axis], v[:, axis])
        other = p[:, 1 - axis] + v[:, 1 - axis] * np.where(np.isfinite(when), when, 0)
        outside = side * p[:, axis] > half - 1e-9
        ok = (when >= -1e-9) & outside & (np.abs(other) <= half) & (half > 0)
        at = np.zeros_like(p)
        at[:, axis] = side
        keep(np.where(ok, np.maximum(when, 0), np.inf), at)
    for sx in (-1, 1):
        for sy in (-1, 1):
            way = p - half[:, None] * np.array([sx, sy])
            a, b = (v**2).sum(-1), (way * v).sum(-1)
            c = (way**2).sum(-1) - rounding**2
            root = b**2 - a * c
            ok = (b < 0) & (root >= 0) & (rounding > 0)
            when = _ratio(-b - np.sqrt(np.maximum(root, 0)), a)
            ok &= when >= -1e-6
            when = np.where(ok, np.maximum(when, 0), np.inf)
            at = way + v * np.where(ok, when, 0)[:, None]
            keep(when, at / np.maximum(np.linalg.norm(at, axis=-1), 1e-9)[:, None])
    return best, normal


def _bounced(v, mass, pair, normal) -> NDArray:
    """Velocities ``[N, K, 2]`` after the contact of a body with another, or with a wall."""
    rows, (first, second) = np.arange(len(v)), pair.T
    wall = second < 0
    v1, m1 = v[rows, first], mass[rows, first]
    v2 = np.where(wall[:, None], 0, v[rows, second])
    m2 = np.where(wall, 1, mass[rows, second])
    change = 2 * ((v1 - v2) * normal).sum(-1, keepdims=True) * normal
    share1 = np.where(wall, 1, m2 / (m1 + m2))[:, None]
    share2 = (m1 / (m1 + m2))[:, None]
    out = v.copy()
    out[rows, first] = v1 - share1 * change
    both = ~wall
    out[rows[both], second[both]] = (v2 + share2 * change)[both]
    return out


def _ratio(a: NDArray, b: NDArray) -> NDArray:
    """a / b, and infinity where b is 0."""
    return np.where(b != 0, a / np.where(b != 0, b, 1), np.inf)
