"""Exercises 12.3 to 12.5: the cross-entropy method, a planner to mend, and a model's holes."""

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


@exercise("12.4", "mend the planner")
def planner(choose: Callable) -> Iterator[str]:
    """``choose(step, start, goal, plans, elites)``: the elites' mean plan, ``[H, A]``."""
    function(choose, "choose")
    draw = torch.Generator().manual_seed(3)
    plans = torch.randn(8, 3, 2, generator=draw, dtype=F64)
    start = torch.randn(1, 4, 2, generator=draw, dtype=F64)
    spy = _Arm()

    def run(goal: Tensor, elites: int, step: Callable | None = None) -> Tensor:
        spy.calls.clear()
        begin = start.expand(8, -1, -1).clone()
        return tensor(choose(step or spy, begin, goal.clone(), plans.clone(), elites), (3, 2), "it")

    end = start + plans.sum(1)[:, None]
    answer = run(end[5:6], 1)
    require(
        len(spy.calls) == 3,
        f"the world was asked {len(spy.calls)} times for plans of 3 steps: one step each, all "
        "plans as one batch.",
    )
    require(
        all(torch.equal(spy.calls[t][1], plans[:, t]) for t in range(3)),
        "step t of a plan is plans[:, t], for all plans at once.",
    )
    after = start + plans[:, 0][:, None]
    require(
        close(spy.calls[1][0], after),
        "every step begins at the start: the state that the world gives back is thrown away, so a "
        "plan of three steps is judged by its last step alone.",
    )
    yield "the plan is carried on from step to step"

    energy = (end - end[5:6]).abs().mean((1, 2))
    worst = plans[energy.argmax()]
    require(
        not close(answer, worst),
        "the plan that is farthest from the goal was chosen: low energy is good.",
    )
    require(
        close(answer, plans[5]),
        "plan 5 leads exactly to the goal, but another one was chosen.",
    )
    order = energy.argsort()
    two = run(end[5:6], 2)
    require(
        not close(two, plans[order[0]]),
        "with two elites the answer is still the best plan alone: average over the elites.",
    )
    signed = (end - end[5:6]).mean((1, 2)).abs().argsort()
    require(
        not close(two, plans[signed[:2]].mean(0)),
        "errors of opposite sign cancel: the distance is the mean of absolute differences, so take "
        "abs() before the mean.",
    )
    require(
        close(two, plans[order[:2]].mean(0)),
        "with two elites the answer should be the mean of the two plans of least energy.",
    )
    yield "the best plans are those of least energy"

    # Plan 0 ends nowhere near the goal, but its errors cancel. Plan 3 is right but for one number,
    # plan 1 a little off in all.
    ends = torch.full((8, 4, 2), 3.0, dtype=F64)
    ends[0] = torch.tensor([2.0, -2.0], dtype=F64)
    ends[1], ends[3] = 0.4, 0.05
    ends[3, 2, 1] = 1.5
    picked = run(torch.zeros(1, 4, 2, dtype=F64), 1, lambda state, action: (ends, ends))
    require(
        not close(picked, plans[0]),
        "errors of opposite sign cancel: the distance is the mean of absolute differences, so take "
        "abs() before the mean.",
    )
    require(
        close(picked, plans[3]),
        "the distance should be a mean over patches *and* features of each plan: with one axis "
        "left out, with squares or with the maximum, another plan looks better.",
    )
    yield "the energy is the L1 distance of all features"

    order = torch.randperm(8, generator=draw)
    mixed = choose(_Arm(), start.expand(8, -1, -1).clone(), end[5:6], plans[order], 2)
    require(
        close(tensor(mixed, (3, 2), "it"), two),
        "the answer depends on the order in which the plans come, or one plan's energy on others'.",
    )
    yield "no plan depends on another"


class _Arm:
    """Features that move with the action; it remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []

    def __call__(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        require(
            isinstance(action, Tensor) and action.shape[-1] == 2 and len(action) == len(state),
            f"the world got {list(action.shape)} actions for {len(state)} plans: give it one "
            "action for each plan.",
        )
        self.calls.append((state.clone(), action.clone()))
        moved = state + action[:, None]
        return moved, moved


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
