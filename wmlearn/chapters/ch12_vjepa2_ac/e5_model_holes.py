"""Exercise 12.5: the planner finds the hole."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import (
    Hint,
    between,
    close,
    exercise,
    integer,
    pair,
    require,
    seeded,
    tensor,
)

F64 = torch.float64
_THREE = "return three things: the tables promised and real, and the largest trusted limit."


@exercise("12.5", "the planner finds the hole")
def holes(experiment: Answer, *, seed: int = 0) -> Iterator[str]:
    """``experiment(episode, limits, horizons, tolerance) -> (promised, real, trusted)``."""
    draw = seeded(seed)
    limits, horizons, calls = [0.5, 0.75, 2.5, 4.5], [1, 3], []
    starts = integer(draw, 5, 8)
    skew = between(draw, 0.0, 1.0, starts).sort().values
    skew[-1] = 3.0
    skew = skew / skew.mean()

    def play(limit: float, horizon: int) -> tuple[Tensor, Tensor]:
        promised = 0.1 / horizon + 0.01 * skew
        miss = max(0.0, limit * horizon - 3.0) / 10 + 0.3 * (limit > 3)  # 0 up to a reach of 3
        return promised, promised + 0.02 * skew + miss * skew

    def episode(limit: float, horizon: int) -> tuple[Tensor, Tensor]:
        calls.append((float(limit), int(horizon)))
        return play(limit, horizon)

    answer = pair(experiment(episode, limits, horizons, 0.25), 3, _THREE)
    shape = (len(limits), len(horizons))
    promised = tensor(answer[0], shape, "promised")
    real = tensor(answer[1], shape, "real")
    yield "two tables, a row for each limit, a column for each horizon"

    require(
        sorted(set(calls)) == sorted((a, h) for a in limits for h in horizons),
        "episode should be called for every pair of limit and horizon.",
    )
    yield "every pair was tried"

    runs = [[play(a, h) for h in horizons] for a in limits]
    want = [torch.tensor([[float(r[i].mean()) for r in row] for row in runs]) for i in (0, 1)]
    require(
        not (close(promised, want[1]) and close(real, want[0])),
        "the two tables are swapped: episode gives (promised, real).",
    )
    for which in (0, -1):
        one = torch.tensor([[float(r[1][which]) for r in row] for row in runs])
        require(
            not close(real, one),
            "real holds the distance of one start only; take the mean over all of them.",
        )
    middle = torch.tensor([[float(r[1].median()) for r in row] for row in runs])
    require(
        not close(real, middle),
        "real holds medians; a hole shows in few starts, and a median does not see it: take means.",
    )
    require(close(promised, want[0]), "promised should hold the mean distance that the plan names.")
    require(close(real, want[1]), "real should hold the mean distance at which the arm ended.")
    yield "the tables hold means over the starts"

    trusted = _limit(answer[2])
    require(
        trusted is None or trusted in limits,
        f"trusted is {trusted}, which is none of the limits {limits}: give the limit itself, not "
        "its place in the list or how many there are.",
    )
    require(
        trusted != 4.5,
        "you trust a limit of 4.5, where the plan promises what the arm does not do: look at "
        "real - promised, not at promised alone.",
    )
    require(
        trusted != 2.5,
        "you trust a limit of 2.5: with the shorter horizon its gap is small, with the longer one "
        "it is not. All horizons must be within the tolerance.",
    )
    require(
        trusted != 0.5,
        "0.5 is the smallest limit that can be trusted; asked is the largest.",
    )
    require(
        trusted == 0.75,
        f"the largest limit whose gap is at most 0.25 at every horizon is 0.75, not {trusted}.",
    )
    yield "the largest limit at which promise and deed agree"

    shift = integer(draw, 1, 6) / 8

    def trust(
        gaps: list[list[float]], tolerance: float, promises: tuple[float, ...] = (4.0, 4.0, 4.0)
    ) -> float | None:
        """The limit trusted where real - promised is so large, by limit and horizon, and the
        promises are these, by horizon."""

        def episode(limit: float, horizon: int) -> tuple[Tensor, Tensor]:
            gap = gaps[round(float(limit)) - 1][int(horizon) - 1]
            promised = torch.full((4,), promises[int(horizon) - 1] + shift)
            return promised, promised + gap

        names = [float(i + 1) for i in range(len(gaps))]
        times = list(range(1, len(gaps[0]) + 1))
        answer = pair(experiment(episode, names, times, tolerance), 3, _THREE)
        return _limit(answer[2])

    none = trust([[1.0], [2.0]], 0.25)
    require(none is None, f"where no limit can be trusted the answer is None, not {none}.")
    kept = trust([[0.0], [0.0]], 0.25)
    require(
        kept == 2.0,
        "limits are refused where the arm ends exactly as promised, because both distances are "
        "large: compare real - promised with the tolerance, not real alone.",
    )
    wide = trust([[0.125], [0.375], [0.75]], 0.5)
    require(
        wide == 2.0,
        "with a tolerance of 0.5 a gap of 0.375 can be trusted and one of 0.75 cannot: take the "
        "argument `tolerance`; is 0.25 or 0.05 written in?",
    )
    hole = trust([[0.0], [1.0], [0.0]], 0.25)
    require(
        hole == 1.0,
        "a limit counts only if all smaller ones can be trusted too: a planner with the larger "
        "limit may choose small actions as well.",
    )
    short = trust([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]], 0.25)
    require(
        short == 1.0,
        "a limit is trusted that fails at the *shortest* horizon: every horizon counts, not only "
        "the longest.",
    )
    inner = trust([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]], 0.25)
    require(inner == 1.0, "a limit is trusted that fails at a horizon in the middle: all count.")
    mixed = ((4.0, 1.0), [0.0, 1.0]), ((1.0, 4.0), [1.0, 0.0])
    for promises, _ in mixed:
        equal = trust([[0.0, 0.0], [0.0, 0.0]], 0.25, promises)
        require(
            equal == 2.0,
            "a limit is refused though the arm keeps every promise: each horizon's real distance "
            "is compared with the promise of the *same* horizon, not with the least or the mean.",
        )
    for promises, gaps in mixed:
        apart = trust([[0.0, 0.0], gaps], 0.25, promises)
        require(
            apart == 1.0,
            "a limit is trusted that misses a *small* promise by 1.0: the largest real distance "
            "and the largest promise may belong to different horizons. First subtract, at each "
            "horizon, then take the largest difference.",
        )
    better = trust([[0.0, -2.0], [-3.0, 0.125], [-1.0, -1.0]], 0.25)
    require(
        better == 3.0,
        "a limit is refused where the arm ends *nearer* than the plan promised: real - promised is "
        "then negative, and that is at most the tolerance. Take no absolute value.",
    )
    exact = trust([[0.125], [0.25], [0.375]], 0.25)
    require(
        exact == 2.0,
        "a gap of exactly the tolerance is *at most* the tolerance: such a limit can be trusted.",
    )
    yield "None where nothing can be trusted, and a hole in between ends the trust"


def _limit(value: object) -> float | None:
    if value is None:
        return None
    hint = "trusted should be one of the limits, or None if there is none."
    require(not isinstance(value, bool), hint)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise Hint(hint) from None
