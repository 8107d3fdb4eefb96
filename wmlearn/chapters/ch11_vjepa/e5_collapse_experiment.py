"""Exercise 11.5: what holds the features up?."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

F64 = torch.float64
SETUPS = (
    ("all in place", {"predictor": True, "stop_gradient": True, "momentum": 0.99}),
    ("no average", {"predictor": True, "stop_gradient": True, "momentum": 0.0}),
    ("no predictor", {"predictor": False, "stop_gradient": True, "momentum": 0.99}),
    ("no stop-gradient", {"predictor": True, "stop_gradient": False, "momentum": 0.99}),
)


@exercise("11.5", "what holds the features up?")
def takes_apart(experiment: Callable) -> Iterator[str]:
    """``experiment(toy, rhos) -> (sizes float [4, len(rhos)], collapsed bool of that shape)``."""
    function(experiment, "experiment")
    rhos = [0.3, 0.8, 1.0]
    calls: list[tuple] = []

    def toy(predictor: bool, stop_gradient: bool, momentum: float, rho: float) -> float:
        calls.append((bool(predictor), bool(stop_gradient), float(momentum), float(rho)))
        return _toy(predictor, stop_gradient, momentum, rho)

    answer = experiment(toy, list(rhos))
    require(
        isinstance(answer, tuple | list) and len(answer) == 2,
        "return two tables: the sizes, and whether each counts as collapsed.",
    )
    sizes = tensor(answer[0], (4, 3), "sizes")
    require(
        isinstance(answer[1], Tensor) and answer[1].dtype == torch.bool,
        "collapsed should be a bool tensor: `sizes < 0.05`.",
    )
    require(list(answer[1].shape) == [4, 3], "collapsed should have the shape of sizes, [4, 3].")
    yield "two tables, a row for each set-up, a column for each correlation"

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

    exact = torch.tensor([_toy(*call) for call in wanted], dtype=F64).view(4, 3)
    if not close(sizes, exact, 1e-6):
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
        not torch.equal(answer[1], sizes > 0.05),
        "collapsed is the wrong way round: a feature of size nearly 0 has collapsed.",
    )
    require(
        torch.equal(answer[1], sizes < 0.05),
        "collapsed should be true where the size is under 0.05, and only there.",
    )
    yield "predictor and stop-gradient hold it up, unless everything can be foreseen"


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
