"""Exercise 12.4: mend the planner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import close, exercise, function, require, tensor

F64 = torch.float64


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
