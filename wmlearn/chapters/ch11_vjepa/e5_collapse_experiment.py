"""Exercise 11.5: what holds the features up?."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, pair, require, seeded, tensor

F64 = torch.float64
SETUPS = (
    ("all in place", {"predictor": True, "stop_gradient": True, "momentum": 0.99}),
    ("no average", {"predictor": True, "stop_gradient": True, "momentum": 0.0}),
    ("no predictor", {"predictor": False, "stop_gradient": True, "momentum": 0.99}),
    ("no stop-gradient", {"predictor": True, "stop_gradient": False, "momentum": 0.99}),
)
_TWO = "return two tables: the sizes, and whether each counts as collapsed."


@exercise("11.5", "what holds the features up?")
def takes_apart(experiment: Answer, *, seed: int = 0) -> Iterator[str]:
    """``experiment(toy, rhos) -> (sizes float [4, len(rhos)], collapsed bool of that shape)``."""
    draw = seeded(seed)
    rhos = [0.3, round(float(between(draw, 0.7, 0.9)), 2), 1.0]
    calls: list[tuple] = []

    def watched(toy: Callable) -> Callable:
        def call(predictor: bool, stop_gradient: bool, momentum: float, rho: float) -> float:
            setup = (bool(predictor), bool(stop_gradient), round(float(momentum), 6))
            calls.append((*setup, round(float(rho), 6)))
            return toy(*calls[-1])

        return call

    answer = pair(experiment(watched(_toy), rhos), 2, _TWO)
    wanted = [(*setup.values(), rho) for _, setup in SETUPS for rho in rhos]
    require(
        {call[3] for call in calls} == set(rhos),
        f"toy was called with rho in {sorted({call[3] for call in calls})}; asked were {rhos}.",
    )
    require(
        set(calls) <= set(wanted),
        "toy was called with a set-up that is none of the four: take away one thing at a time, "
        "and keep momentum 0.99 unless it is the average that goes.",
    )
    require(set(calls) == set(wanted), "some of the four set-ups were not tried.")
    yield "each set-up was tried at each correlation, one thing taken away at a time"

    sizes, collapsed = tensor(answer[0], (4, 3), "sizes"), _flags(answer[1], 3)
    yield "two tables, a row for each set-up, a column for each correlation"

    exact = torch.tensor([_toy(*call) for call in wanted], dtype=F64).view(4, 3)
    if not close(sizes, exact, 1e-5):
        rows = [[name for (name, _), row in zip(SETUPS, exact, strict=True) if close(row, mine)]
                for mine in sizes]  # fmt: skip
        require(
            not all(rows),
            "the rows are in another order: all in place, no average, no predictor, no "
            "stop-gradient.",
        )
        raise Hint("sizes should hold what toy returns, as it is.")
    yield "the sizes are those of the toy"

    require(
        not torch.equal(collapsed, exact > 0.05),
        "collapsed is the wrong way round: a feature of size nearly 0 has collapsed.",
    )
    require(
        torch.equal(collapsed, exact < 0.05),
        "collapsed should be true where the size is under 0.05, and only there.",
    )
    # Sizes just under and over the threshold, on it, and far from it, dealt out anew by each seed.
    values = [0.02, 0.0375, 0.049, 0.05, 0.051, 0.0625, 0.3, 0.9]
    order = torch.randperm(8, generator=draw).tolist()
    cases = [(*setup.values(), rho) for _, setup in SETUPS for rho in rhos[:2]]
    table = {case: values[k] for case, k in zip(cases, order, strict=True)}
    answer = pair(experiment(watched(lambda *call: table.get(call, 0.0)), rhos[:2]), 2, _TWO)
    got, want = _flags(answer[1], 2), [values[k] for k in order]
    flags = dict(zip(want, got.flatten().tolist(), strict=True))
    fallen = max([size for size, flag in flags.items() if flag], default=0.0)
    require(
        fallen < 0.05,
        f"a size of {fallen:g} counts as collapsed: only what is under 0.05 does, and 0.05 is not.",
    )
    require(
        fallen == 0.049,
        "a size of 0.049 does not count as collapsed: everything under 0.05 does, whatever the "
        "other sizes are.",
    )
    yield "predictor and stop-gradient hold it up, unless everything can be foreseen"


def _flags(value: object, columns: int) -> torch.Tensor:
    try:
        value = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise Hint("collapsed should be a bool tensor: `sizes < 0.05`.") from None
    require(value.dtype == torch.bool, "collapsed should be a bool tensor: `sizes < 0.05`.")
    require(
        list(value.shape) == [4, columns],
        f"collapsed should have the shape of sizes, {[4, columns]}, but has {list(value.shape)}.",
    )
    return value


def _toy(predictor: bool, stop_gradient: bool, momentum: float, rho: float) -> float:
    """Size of the feature after training; the notebook gives the same function."""
    w, p, average = 1.0, 0.5 if predictor else 1.0, 1.0
    for _ in range(4000):
        error = p * w - rho * average
        slope_w, slope_p = 2 * p * error, 2 * w * error
        if not stop_gradient:
            slope_w += 2 * average - 2 * rho * p * w
        w, p = w - 0.01 * slope_w, p - 0.05 * slope_p * predictor
        average = momentum * average + (1 - momentum) * w if stop_gradient else w
    return abs(w)
