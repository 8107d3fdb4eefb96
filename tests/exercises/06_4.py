"""Inelastic collisions, wrong."""

from __future__ import annotations

import numpy as np
import torch


def _push(v1, v2, m1, m2, n, e, least=0.0):
    closing = ((v1 - v2) * n).sum(dim=1).clamp(min=least)
    return ((1 + e) * closing / (1 / m1 + 1 / m2))[:, None] * n


def elastic(v1, v2, m1, m2, n, e):
    push = _push(v1, v2, m1, m2, n, 1.0)
    return v1 - push / m1[:, None], v2 + push / m2[:, None]


def swapped(v1, v2, m1, m2, n, e):
    return v2, v1


def masses_mixed_up(v1, v2, m1, m2, n, e):
    push = _push(v1, v2, m1, m2, n, e)
    return v1 - push / m2[:, None], v2 + push / m1[:, None]


def along_the_velocity(v1, v2, m1, m2, n, e):
    push = (1 + e) * (v1 - v2) / (1 / m1 + 1 / m2)[:, None]
    return v1 - push / m1[:, None], v2 + push / m2[:, None]


def e_alone(v1, v2, m1, m2, n, e):
    push = _push(v1, v2, m1, m2, n, e - 1)
    return v1 - push / m1[:, None], v2 + push / m2[:, None]


def pulls_together(v1, v2, m1, m2, n, e):
    push = _push(v1, v2, m1, m2, n, e, least=-1e9)
    return v1 - push / m1[:, None], v2 + push / m2[:, None]


def all_or_none(v1, v2, m1, m2, n, e):
    if (((v1 - v2) * n).sum(dim=1) <= 0).any():
        return v1, v2
    return pulls_together(v1, v2, m1, m2, n, e)


def one_minus_e(v1, v2, m1, m2, n, e):
    push = _push(v1, v2, m1, m2, n, -e)
    return v1 - push / m1[:, None], v2 + push / m2[:, None]


def half_the_push(v1, v2, m1, m2, n, e):
    push = 0.7 * _push(v1, v2, m1, m2, n, e)
    return v1 - push / m1[:, None], v2 + push / m2[:, None]


WRONG = [
    ("elastic", (elastic,), "e is left out"),
    ("swapped", (swapped,), "swaps the velocities"),
    ("masses_mixed_up", (masses_mixed_up,), "total momentum"),
    ("along_the_velocity", (along_the_velocity,), "*across* n"),
    ("one_minus_e", (one_minus_e,), "nothing happens"),
    ("half_the_push", (half_the_push,), "with e = 1 the speed along n"),
    ("pulls_together", (pulls_together,), "pulls them together again"),
    ("all_or_none", (all_or_none,), "each pair decides for itself"),
]
ALSO = [("e_alone", (e_alone,), "with e = 1 the speed along n")]


def by_center_of_mass(v1, v2, m1, m2, n, e):
    a, b = (v1 * n).sum(1), (v2 * n).sum(1)
    center = (m1 * a + m2 * b) / (m1 + m2)
    meet = a > b
    a_new = torch.where(meet, center - e * m2 * (a - b) / (m1 + m2), a)
    b_new = torch.where(meet, center + e * m1 * (a - b) / (m1 + m2), b)
    return v1 + (a_new - a)[:, None] * n, v2 + (b_new - b)[:, None] * n


def by_loops(v1, v2, m1, m2, n, e):
    out = []
    for a, b, p, q, way in zip(*(x.double().numpy() for x in (v1, v2, m1, m2, n)), strict=True):
        closing = max(0.0, float(np.dot(a - b, way)))
        j = (1 + e) * closing * p * q / (p + q)
        out.append((a - j / p * way, b + j / q * way))
    return tuple(torch.tensor(np.array(part)) for part in zip(*out, strict=True))


RIGHT = [("by_center_of_mass", (by_center_of_mass,)), ("by_loops", (by_loops,))]
