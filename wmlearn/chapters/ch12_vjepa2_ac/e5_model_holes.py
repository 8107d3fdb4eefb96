"""Exercise 12.5: the planner finds the hole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import close, exercise, function, require, tensor

F64 = torch.float64


@exercise("12.5", "the planner finds the hole")
def holes(experiment: Callable) -> Iterator[str]:
    """``experiment(episode, limits, horizons, tolerance) -> (promised, real, trusted)``."""
    function(experiment, "experiment")
    limits, horizons, calls = [0.5, 1.0, 2.0, 4.0], [1, 3], []

    def episode(limit: float, horizon: int) -> tuple[Tensor, Tensor]:
        calls.append((float(limit), int(horizon)))
        return _episode(limit, horizon)

    answer = experiment(episode, list(limits), list(horizons), 0.25)
    require(
        isinstance(answer, tuple | list) and len(answer) == 3,
        "return three things: the tables promised and real, and the largest trusted limit.",
    )
    shape = (len(limits), len(horizons))
    promised = tensor(answer[0], shape, "promised")
    real = tensor(answer[1], shape, "real")
    yield "two tables, a row for each limit, a column for each horizon"

    require(
        sorted(set(calls)) == sorted((a, h) for a in limits for h in horizons),
        "episode should be called for every pair of limit and horizon.",
    )
    yield "every pair was tried"

    want = [_tables(limits, horizons, i) for i in (0, 1)]
    require(
        not (close(promised, want[1]) and close(real, want[0])),
        "the two tables are swapped: episode gives (promised, real).",
    )
    ends = torch.stack([torch.stack([_episode(a, h)[1][-1] for h in horizons]) for a in limits])
    require(
        not close(real, ends),
        "real holds the distance of one start only; take the mean over all of them.",
    )
    middle = torch.stack(
        [torch.stack([_episode(a, h)[1].median() for h in horizons]) for a in limits]
    )
    require(
        not close(real, middle),
        "real holds medians; a hole shows in few starts, and a median does not see it: take means.",
    )
    require(close(promised, want[0]), "promised should hold the mean distance that the plan names.")
    require(close(real, want[1]), "real should hold the mean distance at which the arm ended.")
    yield "the tables hold means over the starts"

    trusted = answer[2]
    require(
        trusted is None or isinstance(trusted, int | float),
        "trusted should be one of the limits, or None if there is none.",
    )
    require(
        trusted != 4.0,
        "you trust a limit of 4.0, where the plan promises what the arm does not do: look at "
        "real - promised, not at promised alone.",
    )
    require(
        trusted != 2.0,
        "you trust a limit of 2.0: with the shorter horizon its gap is small, with the longer one "
        "it is not. All horizons must be within the tolerance.",
    )
    require(
        trusted != 0.5,
        "0.5 is the smallest limit that can be trusted; asked is the largest.",
    )
    require(
        trusted == 1.0,
        f"the largest limit whose gap is at most 0.25 at every horizon is 1.0, not {trusted}.",
    )
    yield "the largest limit at which promise and deed agree"

    none = experiment(lambda a, h: (torch.zeros(4), torch.ones(4)), [1.0, 2.0], [1], 0.25)[2]
    require(
        none is None,
        f"where no limit can be trusted the answer is None, not {none}.",
    )
    hole = experiment(
        lambda a, h: (torch.zeros(4), torch.full((4,), float(a == 1.0))), [0.5, 1.0, 2.0], [1], 0.25
    )[2]
    require(
        hole == 0.5,
        "a limit counts only if all smaller ones can be trusted too: a planner with the larger "
        "limit may choose small actions as well.",
    )
    yield "None where nothing can be trusted, and a hole in between ends the trust"


def _episode(limit: float, horizon: int) -> tuple[Tensor, Tensor]:
    promised = torch.full((5,), 0.1, dtype=F64) / horizon
    miss = max(0.0, limit * horizon - 3.0) / 10 + 0.3 * (limit > 3)  # 0 up to a reach of 3
    skew = torch.tensor([0.0, 0.5, 0.5, 1.0, 3.0], dtype=F64)
    return promised, promised + 0.02 + miss * skew


def _tables(limits: list[float], horizons: list[int], which: int) -> Tensor:
    rows = [torch.stack([_episode(a, h)[which].mean() for h in horizons]) for a in limits]
    return torch.stack(rows)
