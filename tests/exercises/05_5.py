"""How many pairs does it take, wrong."""

from __future__ import annotations

import math

import torch


def wilson(right, pairs, z=1.96):
    """A right one, to go with wrong counts."""
    p, more = right / pairs, z**2 / pairs
    middle = (p + more / 2) / (1 + more)
    half = z * math.sqrt(p * (1 - p) / pairs + more / (4 * pairs)) / (1 + more)
    return middle - half, middle + half


def needed(share, z=1.96):
    """A right one, to go with wrong intervals."""
    return math.floor((z / (2 * share - 1)) ** 2) + 1


def of_the_normal(right, pairs, z=1.96):
    p = right / pairs
    half = z * math.sqrt(p * (1 - p) / pairs)
    return p - half, p + half


def around_the_share(right, pairs, z=1.96):
    p, (low, high) = right / pairs, wilson(right, pairs, z)
    half = (high - low) / 2
    return p - half, min(1.0, p + half)


def not_divided(right, pairs, z=1.96):
    low, high = wilson(right, pairs, z)
    more = 1 + z**2 / pairs
    middle, half = (low + high) / 2, (high - low) / 2
    return middle - half * more, min(1.0, 2 * middle - middle + half * more)


def z_written_in(right, pairs, z=1.96):
    return wilson(right, pairs)


def exchanged(right, pairs, z=1.96):
    return wilson(right, pairs, z)[::-1]


def only_the_lower(right, pairs, z=1.96):
    return wilson(right, pairs, z)[0]


def one_too_few(share, z=1.96):
    return needed(share, z) - 1


def rounded(share, z=1.96):
    return round((z / (2 * share - 1)) ** 2) + 2


def not_whole(share, z=1.96):
    return (z / (2 * share - 1)) ** 2


def of_the_simple_interval(share, z=1.96):
    return math.floor(share * (1 - share) * (z / (share - 0.5)) ** 2) + 1


def z_of_the_count_written_in(share, z=1.96):
    return needed(share)


WRONG = [
    ("of_the_normal", (of_the_normal, needed), "has no width where all were right"),
    ("around_the_share", (around_the_share, needed), "a little nearer to one half"),
    ("exchanged", (exchanged, needed), "the lower one first"),
    ("only_the_lower", (only_the_lower, needed), "two ends"),
    ("one_too_few", (wilson, one_too_few), "is not above one half yet"),
    ("not_whole", (wilson, not_whole), "a part of a pair"),
    ("of_the_simple_interval", (wilson, of_the_simple_interval), "the smallest n for which"),
]
ALSO = [
    ("z_written_in", (z_written_in, needed), "a little nearer to one half"),
    ("not_divided", (not_divided, needed), ""),
    ("rounded", (wilson, rounded), ""),
    ("z_of_the_count_written_in", (wilson, z_of_the_count_written_in), "the smallest n for which"),
]


# Right answers in other styles.


def by_solving(right, pairs, z=1.96):
    """The true shares q with (p - q)^2 = z^2 q (1 - q) / n."""
    p = right / pairs
    a, b, c = pairs + z**2, -(2 * pairs * p + z**2), pairs * p**2
    root = math.sqrt(b**2 - 4 * a * c)
    return [(-b - root) / (2 * a), (-b + root) / (2 * a)]


def by_trying(share, z=1.96):
    n = 1
    while wilson(share * n, n, z)[0] <= 0.5:
        n += 1
    return n


RIGHT = [("by_solving", (by_solving, needed)), ("by_trying", (wilson, by_trying))]


def _a_share(draw):
    return 0.51 + 0.48 * float(torch.rand((), generator=draw)), 1.96


INPUTS = {"pairs_needed": _a_share}
