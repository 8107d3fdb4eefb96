"""Rotary positions on three axes, wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def _angles(positions, d, axes=(0, 1, 2), exponent=1.0, deal="interleave", scale=1.0):
    third = 2 * (d // 6)
    m = third // 2
    speeds = 10_000 ** (-torch.arange(m, dtype=positions.dtype) * exponent / m)
    speeds = speeds.repeat(2) if deal == "repeat" else speeds.repeat_interleave(2)
    turns = (positions[:, list(axes), None] * speeds * scale).flatten(1)
    return F.pad(turns, (0, d - 3 * third))


def angles(positions, d):
    """A right one, to go with the wrong turns."""
    return _angles(positions, d)


def turn(x, angles):
    """A right one, to go with the wrong angles."""
    swapped = torch.stack([-x[:, 1::2], x[:, ::2]], -1).flatten(1)
    return x * angles.cos() + swapped * angles.sin()


def width_first(positions, d):
    return _angles(positions, d, axes=(2, 1, 0))


def one_axis_for_all(positions, d):
    return _angles(positions.sum(1, keepdim=True).expand(-1, 3), d)


def published_order(positions, d):
    return _angles(positions, d, deal="repeat")


def too_slow(positions, d):
    return _angles(positions, d, exponent=0.5)


def leftover_turned(positions, d):
    out = _angles(positions, d)
    out[:, 3 * 2 * (d // 6) :] = positions[:, :1]
    return out


def degrees(positions, d):
    return _angles(positions, d, scale=torch.pi / 180)


def halves_paired(x, angles):
    half = x.shape[1] // 2
    swapped = torch.cat([-x[:, half:], x[:, :half]], 1)
    return x * angles.cos() + swapped * angles.sin()


def minus_missing(x, angles):
    swapped = torch.stack([x[:, 1::2], x[:, ::2]], -1).flatten(1)
    return x * angles.cos() + swapped * angles.sin()


def the_other_way_round(x, angles):
    return turn(x, -angles)


def in_place(x, angles):
    out = turn(x, angles)
    x.copy_(out)
    return out


WRONG = [
    ("width_first", (width_first, turn), "the wrong axis turns"),
    ("one_axis_for_all", (one_axis_for_all, turn), "and no others"),
    ("published_order", (published_order, turn), "repeat_interleave"),
    ("too_slow", (too_slow, turn), "fall too slowly"),
    ("leftover_turned", (leftover_turned, turn), "left over are turned"),
    ("degrees", (degrees, turn), "yours turn by 0.0175"),
    ("halves_paired", (angles, halves_paired), "channels c and c + d/2"),
    ("minus_missing", (angles, minus_missing), "a minus sign is missing"),
    ("the_other_way_round", (angles, the_other_way_round), "the other way round"),
    ("in_place", (angles, in_place), "changed its argument `x`"),
]


def numbers_of_26(positions, d):
    speeds = (10_000 ** (-torch.arange(4) / 4)).repeat_interleave(2)
    turned = (positions[:, :, None] * speeds).flatten(1)[:, :d]
    return torch.nn.functional.pad(turned, (0, d - turned.shape[1]))


def odd_thirds(positions, d):
    third = d // 3
    pairs = torch.arange(third) // 2
    speeds = 10_000.0 ** (-pairs / (third // 2))
    return F.pad((positions[:, :, None] * speeds).flatten(1), (0, d - 3 * third))


def odd_thirds_too_few_columns(positions, d):
    third = d // 3
    speeds = (10_000.0 ** (-torch.arange(third // 2) / (third // 2))).repeat_interleave(2)
    return F.pad((positions[:, :, None] * speeds).flatten(1), (0, d - 3 * third))


# Right answers in other styles.


def angles_in_loops(positions, d):
    third = 2 * (d // 6)
    out = torch.zeros(len(positions), d)
    for axis in range(3):
        for j in range(third // 2):
            at = axis * third + 2 * j
            out[:, at] = out[:, at + 1] = positions[:, axis] * 10_000 ** (-2 * j / third)
    return out


def turn_complex(x, angles):
    z = torch.view_as_complex(x.double().reshape(len(x), -1, 2))
    z = z * torch.polar(torch.ones(z.shape).double(), angles[:, ::2].double())
    return torch.view_as_real(z).flatten(1)


def turn_in_place_on_a_copy(x, angles):
    out = x.clone()
    a, b, turned = x[:, ::2], x[:, 1::2], angles[:, ::2]
    out[:, ::2] = a * turned.cos() - b * turned.sin()
    out[:, 1::2] = b * turned.cos() + a * turned.sin()
    return out


WRONG += [
    ("numbers_of_26", (numbers_of_26, turn), "numbers of d = 26"),
    ("odd_thirds", (odd_thirds, turn), "an *even* number"),
]
ALSO = [
    ("odd_thirds_too_few_columns", (odd_thirds_too_few_columns, turn), "an *even* number"),
]
RIGHT = [
    ("loops_and_complex", (angles_in_loops, turn_complex)),
    ("turn_in_place_on_a_copy", (angles_in_loops, turn_in_place_on_a_copy)),
]
