"""Exercise 07.4: inside and outside."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import (
    Hint,
    between,
    close,
    exercise,
    normal,
    pair,
    require,
    seeded,
    tensor,
)


@exercise("07.4", "inside and outside")
def inside_and_outside(gap: Answer, *, seed: int = 0) -> Iterator[str]:
    """``gap(inside [E, T], outside [E, T], picks int64 [R, E]) -> mean, low, high``."""
    draw = seeded(seed)
    for episodes, steps, resamples in ((30, 4, 400), (21, 3, 200)):
        hard = 6 * normal(draw, episodes, 1)  # some starts are hard, inside and outside
        kind, real = (between(draw, 0.0, more, episodes, steps) for more in (2.4, 1.0))
        better = torch.randperm(episodes, generator=draw)[: episodes // 5]  # outside
        kind[better], real[better] = kind[better] / 2.4, real[better] + 1.0
        inside, outside = ((hard + x).float().double() for x in (kind, real))
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
        sizes = each.abs().mean(), (inside - outside).abs().sum(1).mean()
        require(
            not any(close(answer[0], size) for size in sizes),
            "the gap has a sign: an episode can be better outside, and then it is below 0.",
        )
        require(
            close(answer[0], want),
            f"the mean gap is the mean over episodes of return inside minus return outside: "
            f"{want:.3f}, not {answer[0]:.3f}.",
        )
        yield f"the mean gap of {episodes} episodes"

        if not _within(answer[1], answer[2], each[picks].mean(1)):
            _explain(answer[1], answer[2], inside.sum(1), outside.sum(1), picks)
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


def _explain(low: Tensor, high: Tensor, inside: Tensor, outside: Tensor, picks: Tensor) -> None:
    """Raises the hint for an interval that is not the right one. Returns [E] are given."""
    each = inside - outside
    again = each[picks].mean(1)
    if _from_two_intervals(low, high, inside[picks].mean(1), outside[picks].mean(1)):
        raise Hint(
            "these ends are differences of two intervals, one of inside and one of outside: keep "
            "inside and outside of an episode together, and take quantiles of the mean *gap*."
        )
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
        not _within(low, high, torch.stack([each[row.unique()].mean() for row in picks])),
        "an episode that a row of picks names twice counts twice in its mean.",
    )
    require(
        not _within(low, high, again, out=0.05),
        "this holds 90 % of the means: 95 % leaves 2.5 % out at each end.",
    )
    raise Hint(
        f"low and high should be the 2.5 % and 97.5 % quantiles of the means that the rows of "
        f"picks give: {again.quantile(0.025):.3f} and {again.quantile(0.975):.3f}, not "
        f"{float(low):.3f} and {float(high):.3f}."
    )


def _from_two_intervals(low: Tensor, high: Tensor, a: Tensor, b: Tensor) -> bool:
    """Whether these are differences of quantiles in place of quantiles of differences."""
    got = torch.stack([low, high]).sort().values
    for rule in ("linear", "lower", "higher", "nearest"):
        (a0, a1), (b0, b1) = (
            torch.stack([x.quantile(q, interpolation=rule) for q in (0.025, 0.975)]) for x in (a, b)
        )
        for ends in ((a0 - b0, a1 - b1), (a0 - b1, a1 - b0)):
            if close(got, torch.stack(ends).sort().values):
                return True
    return False


def _within(low: Tensor, high: Tensor, x: Tensor, out: float = 0.025) -> bool:
    """Whether these are the 2.5 % and 97.5 % quantiles by one of the usual rules.

    ``out`` is left out at each end."""
    x, n = x.sort().values, len(x)
    for value, q in ((low, out), (high, 1 - out)):
        place = math.floor(n * q + 1e-9)
        first, last = max(0, place - 1), max(place, math.ceil((n - 1) * q - 1e-9))
        if not x[first] - 1e-4 <= value <= x[min(n - 1, last)] + 1e-4:
            return False
    return True
