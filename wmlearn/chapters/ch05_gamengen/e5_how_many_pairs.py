"""Exercise 05.5: how many pairs does it take?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import between, close, exercise, integer, pair, require, seeded, tensor


@exercise("05.5", "how many pairs does it take?")
def how_many_pairs(interval: Answer, pairs_needed: Answer, *, seed: int = 0) -> Iterator[str]:
    """``interval(right, pairs, z) -> low, high``; ``pairs_needed(share, z) -> int``."""
    draw = seeded(seed)
    for pairs, right in ((integer(draw, 20, 60), None), (integer(draw, 100, 400), None), (9, 9)):
        right = integer(draw, pairs // 2, pairs - 3) if right is None else right
        z = round(float(between(draw, 1.5, 2.7)), 3)
        answer = pair(
            interval(right, pairs, z), 2, "interval should return two ends, low and high."
        )
        low, high = (float(tensor(x, (), "an end of the interval")) for x in answer)
        p, wide = right / pairs, _simple(right, pairs, z)
        require(low <= high, "the ends are exchanged: the lower one first.")
        require(
            not (close(low, p - wide) and close(high, p + wide)),
            "this is p ± z √(p (1 - p) / n), which has no width where all were right. Wilson's "
            "interval asks which true shares would make p no surprise.",
        )
        require(
            high <= 1 + 1e-6,
            f"the upper end is {high:.3f}: a share cannot be above 1.",
        )
        want = _wilson(right, pairs, z)
        middle = (want[0] + want[1]) / 2
        require(
            close((low + high) / 2, middle),
            "the middle is (p + z² / 2n) / (1 + z² / n): a little nearer to one half than p.",
        )
        require(
            close(low, want[0]) and close(high, want[1]),
            "half of the width is z √(p (1 - p) / n + z² / 4n²), divided by 1 + z² / n.",
        )
    yield "Wilson's interval, also where all were right"

    for share, z in ((0.58, 1.96), (0.6, 1.96), (float(between(draw, 0.62, 0.9)), 2.5)):
        share = round(share, 2)
        got = pairs_needed(share, z)
        require(got is not None, "pairs_needed returned None: is a `return` missing?")
        require(
            float(got) == int(got), f"{got} pairs: nobody can be shown a part of a pair; a whole "
            "number is asked for.",
        )  # fmt: skip
        want = _needed(share, z)
        require(
            int(got) != want - 1,
            f"with {want - 1} pairs the lower end is not above one half yet.",
        )
        require(
            int(got) != want + 1,
            f"{want} pairs are enough for {share:.0%}: the smallest number is asked for.",
        )
        require(
            int(got) == want,
            f"for {share:.0%} it takes {want} pairs, not {int(got)}: the smallest n for which the "
            "lower end of interval(share · n, n, z) lies above one half.",
        )
    yield "the smallest number of pairs that tells a share from a coin"


def _simple(right: int, pairs: int, z: float) -> float:
    p = right / pairs
    return z * math.sqrt(p * (1 - p) / pairs)


def _wilson(right: float, pairs: int, z: float) -> tuple[float, float]:
    p, more = right / pairs, z**2 / pairs
    middle = (p + more / 2) / (1 + more)
    half = z * math.sqrt(p * (1 - p) / pairs + more / (4 * pairs)) / (1 + more)
    return middle - half, middle + half


def _needed(share: float, z: float) -> int:
    return next(n for n in range(1, 10**6) if _wilson(share * n, n, z)[0] > 0.5)
