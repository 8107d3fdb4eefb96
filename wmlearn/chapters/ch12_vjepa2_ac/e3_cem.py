"""Exercise 12.3: the cross-entropy method."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

F64 = torch.float64


@exercise("12.3", "the cross-entropy method")
def cross_entropy_method(cem: Callable) -> Iterator[str]:
    """``cem(energy, mean, std, samples, elites, iterations, least, generator)`` -> mean, std."""
    function(cem, "cem")
    best = torch.tensor([[0.6, -0.2], [0.1, 0.9]], dtype=F64)
    asked: list[Tensor] = []

    def energy(plans: Tensor) -> Tensor:
        require(
            isinstance(plans, Tensor) and plans.ndim == 3 and plans.shape[1:] == (2, 2),
            "energy() is asked about many plans at once: a tensor [samples, H, A].",
        )
        asked.append(plans.detach().clone())
        return (plans - best).square().sum((1, 2))

    def run(samples: int, elites: int, iterations: int, least: float = 1e-3, seed: int = 0):
        asked.clear()
        mean, std = torch.zeros(2, 2, dtype=F64), torch.full((2, 2), 0.7, dtype=F64)
        draw = torch.Generator().manual_seed(seed)
        answer = cem(energy, mean.clone(), std.clone(), samples, elites, iterations, least, draw)
        require(
            isinstance(answer, tuple | list) and len(answer) == 2,
            "return two tensors: the mean of the plans, and their standard deviation.",
        )
        return tensor(answer[0], (2, 2), "the mean"), tensor(answer[1], (2, 2), "the std")

    mean, std = run(50, 5, 1)
    require(
        len(asked) == 1 and len(asked[0]) == 50,
        "one round should ask for the energy once, of all samples together; it was asked "
        f"{len(asked)} times.",
    )
    plans = asked[0]
    require(
        plans.abs().max() <= 1,
        f"an action of {plans.abs().max():.2f} was tried; the arm takes actions from -1 to 1, so "
        "clamp what is drawn.",
    )
    require(
        not close(plans[0], plans[1]),
        "all plans of a round are the same: draw noise of shape [samples, H, A].",
    )
    require(
        0.35 < plans.std(0).mean() < 0.75 and plans.mean().abs() < 0.2,
        f"the plans are drawn with a spread of {plans.std(0).mean():.2f} around "
        f"{plans.mean():.2f}; it should be std · noise around the mean.",
    )
    yield "a round draws plans around the mean, inside the box"

    order = energy(plans).argsort()
    elite, worst = plans[order[:5]], plans[order[-5:]]
    if not close(mean, elite.mean(0)):
        require(
            not close(mean, worst.mean(0)),
            "the elites are the plans with the *largest* energy: topk needs largest=False.",
        )
        require(
            not close(mean, plans.mean(0)),
            "the new mean is that of all samples; only the elites count, or nothing is learned.",
        )
        require(
            not close(mean, plans[order[0]]),
            "the new mean is the single best plan; average over all elites, since one plan may be "
            "luck.",
        )
        raise Hint("the new mean should be the mean of the elites, for each step and action.")
    yield "the mean moves to the elites"

    if not close(std, elite.std(0, correction=0)):
        require(
            not close(std, torch.full((2, 2), 0.7, dtype=F64)),
            "the spread stays as it was; set it to the elites' own, so that the search narrows.",
        )
        require(
            not close(std, plans.std(0, correction=0)) and not close(std, plans.std(0)),
            "the new spread is that of all samples; take the elites', or the search never narrows.",
        )
        require(
            not close(std, elite.std(0)),
            "the spread divides by elites - 1: with one elite that is 0 / 0. Take correction=0.",
        )
        require(
            not close(std, elite.var(0, correction=0).clamp(min=1e-3)),
            "the new spread is a variance; take its root, the standard deviation.",
        )
        raise Hint("the new spread should be the elites' standard deviation (correction=0).")
    yield "the spread becomes the elites'"

    _, std = run(20, 1, 3, least=0.05)
    require(
        std.min() > 0.05 - 1e-9,
        f"the spread falls to {std.min():.3g} though it shall stay at least 0.05: clamp it, or the "
        "search stands still for good.",
    )
    require(close(std, 0.05), "with one elite the spread should be exactly `least`.")
    yield "the spread never falls below `least`"

    mean, _ = run(200, 20, 12)
    require(
        len(asked) == 12,
        f"12 rounds should ask for the energy 12 times, not {len(asked)}.",
    )
    require(
        not close(asked[0], asked[1]),
        "the second round tries the plans of the first again: draw anew around the new mean.",
    )
    require(
        close(mean, best, 0.02),
        "after 12 rounds on a quadratic bowl the mean should be at its minimum; yours is off by "
        f"{(mean - best).abs().max():.2f}. Does each round begin with the last one's result?",
    )
    yield "twelve rounds find the minimum of a bowl"
