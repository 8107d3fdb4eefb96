"""Exercise 07.4: inside and outside."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import between, close, exercise, normal, pair, require, seeded, tensor


@exercise("07.4", "inside and outside")
def inside_and_outside(gap: Answer, *, seed: int = 0) -> Iterator[str]:
    """``gap(inside [E, T], outside [E, T], picks int64 [R, E]) -> mean, low, high``."""
    draw = seeded(seed)
    for episodes, steps, resamples in ((30, 4, 400), (21, 3, 200)):
        hard = 3 * normal(draw, episodes, 1)  # some starts are hard, inside and outside
        inside, outside = (hard + between(draw, 0.0, more, episodes, steps) for more in (2.4, 1.0))
        picks = torch.randint(episodes, (resamples, episodes), generator=draw)
        answer = _three(gap(inside, outside, picks))
        each = inside.sum(1) - outside.sum(1)
        want = each.mean()
        require(
            not close(answer[0], -want),
            "the gap is inside minus outside: above 0 where the simulator is too kind.",
        )
        require(
            not close(answer[0], want / steps),
            "that is the gap of one step: a return is the *sum* of an episode's rewards.",
        )
        require(
            close(answer[0], want),
            f"the mean gap is the mean over episodes of return inside minus return outside: "
            f"{want:.3f}, not {answer[0]:.3f}.",
        )
        yield f"the mean gap of {episodes} episodes"

        low, high = answer[1], answer[2]
        again = each[picks].mean(1)
        require(low <= high, "the ends are exchanged: the lower one first.")
        require(
            not _within(low, high, each),
            "between these numbers lie the gaps of single episodes. Asked is where their *mean* "
            "would lie if other episodes had been drawn: one mean for each row of picks.",
        )
        wide = again.quantile(0.975) - again.quantile(0.025)
        require(
            high - low < 3 * wide,
            f"the interval is {float(high - low):.2f} wide, {float((high - low) / wide):.1f} times "
            "as wide as it need be. A hard start is hard inside and outside: keep the two returns "
            "of an episode together when it is drawn again.",
        )
        require(
            not (
                close(low, again.quantile(0.05), 1e-2) and close(high, again.quantile(0.95), 1e-2)
            ),
            "this holds 90 % of the means: 95 % leaves 2.5 % out at each end.",
        )
        require(
            _within(low, high, again),
            f"low and high should be the 2.5 % and 97.5 % quantiles of the means that the rows of "
            f"picks give: {again.quantile(0.025):.3f} and {again.quantile(0.975):.3f}, not "
            f"{float(low):.3f} and {float(high):.3f}.",
        )
        same = torch.arange(episodes).repeat(resamples, 1)
        answer = _three(gap(inside, outside, same))
        require(
            close(answer[1], want) and close(answer[2], want),
            "if every row of picks draws each episode once, there is nothing to doubt, and low and "
            "high are the mean. Draw by picks, and by nothing else.",
        )
        yield f"the interval over other draws of {episodes} episodes"


def _three(value: object) -> tuple[Tensor, ...]:
    answer = pair(value, 3, "gap should return three numbers: mean, low, high.")
    names = "the mean", "low", "high"
    return tuple(tensor(x, (), name) for x, name in zip(answer, names, strict=True))


def _within(low: Tensor, high: Tensor, x: Tensor) -> bool:
    """Whether these are the 2.5 % and 97.5 % quantiles by one of the usual rules."""
    x, n = x.sort().values, len(x)
    for value, q in ((low, 0.025), (high, 0.975)):
        place = math.floor(n * q + 1e-9)
        first, last = max(0, place - 1), max(place, math.ceil((n - 1) * q - 1e-9))
        if not x[first] - 1e-4 <= value <= x[min(n - 1, last)] + 1e-4:
            return False
    return True
