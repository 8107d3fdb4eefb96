"""Exercise 12.4: mend the planner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import close, exercise, normal, require, seeded, tensor

_CANCEL = (
    "errors of opposite sign cancel: the distance is the mean of absolute differences, so take "
    "abs() before any mean, over features and over patches."
)


@exercise("12.4", "mend the planner")
def planner(choose: Answer, *, seed: int = 0) -> Iterator[str]:
    """``choose(step, start, goal, plans, elites)``: the elites' mean plan, ``[H, A]``."""
    draw = seeded(seed)
    plans, start = normal(draw, 8, 3, 2), normal(draw, 1, 4, 2)
    begin = start.expand(8, -1, -1)
    arm = _Arm()

    def run(goal: Tensor, elites: int, step: Callable | None = None) -> Tensor:
        arm.calls.clear()
        return tensor(choose(step or arm, begin, goal, plans, elites), (3, 2), "the answer")

    end = start + plans.sum(1)[:, None]
    answer = run(end[5:6], 1)
    require(
        len(arm.calls) == 3,
        f"the world was asked {len(arm.calls)} times for plans of 3 steps: one step each, all "
        "plans as one batch.",
    )
    require(
        all(torch.equal(arm.calls[t][1], plans[:, t]) for t in range(3)),
        "step t of a plan is plans[:, t], for all plans at once.",
    )
    after = start + plans[:, 0][:, None]
    require(
        close(arm.calls[1][0], after),
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
    right = plans[order[:2]].mean(0)
    require(close(two, right) or not close(two, plans[signed[:2]].mean(0)), _CANCEL)
    require(
        close(two, right),
        "with two elites the answer should be the mean of the two plans of least energy.",
    )
    yield "the best plans are those of least energy"

    # The ends of eight plans, told by hand: plan 3 is right but for one number, plan 1 a little
    # off in all. In plans 0, 4 and 6 errors cancel: over features, over patches, over both.
    ends = torch.full((8, 4, 2), 3.0).double()
    ends[0] = torch.tensor([2.0, -2.0])
    ends[1], ends[3] = 0.4, 0.05
    ends[3, 2, 1] = 1.5
    ends[4] = torch.tensor([2.0, -2.0, 2.0, -2.0])[:, None]
    ends[6] = torch.tensor([[2.0, 1.0], [-1.0, -2.0], [2.0, -2.0], [1.0, -1.0]])
    picked = run(torch.zeros(1, 4, 2), 1, lambda state, action: (ends, ends))
    require(not any(close(picked, plans[k]) for k in (0, 4, 6)), _CANCEL)
    require(
        close(picked, plans[3]),
        "the distance should be a mean over patches *and* features of each plan: with one axis "
        "left out, with squares or with the maximum, another plan looks better.",
    )
    yield "the energy is the L1 distance of all features"

    # Plan 2 crosses the goal on its way and goes on; plan 7 ends near it.
    way = torch.full((3, 8, 4, 2), 5.0).double()
    way[:, 2] = torch.tensor([2.0, 0.0, 2.0])[:, None, None]
    way[:, 7] = torch.tensor([4.0, 2.0, 0.5])[:, None, None]
    turn: list[int] = []

    def watch(state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        turn.append(0)
        features = way[(len(turn) - 1) % 3]
        return features, features

    picked = run(torch.zeros(1, 4, 2), 1, watch)
    require(
        not close(picked, plans[2]),
        "a plan that crosses the goal and goes on was chosen: only its *last* features count, not "
        "the nearest or the mean of its way.",
    )
    require(
        close(picked, plans[7]),
        "the plan that ends nearest to the goal was not chosen: only its *last* features count.",
    )
    yield "only where a plan ends counts"

    shuffled = torch.randperm(8, generator=draw)
    mixed = choose(_Arm(), begin, end[5:6], plans[shuffled], 2)
    require(
        close(tensor(mixed, (3, 2), "the answer"), two),
        "the answer depends on the order in which the plans come, or one plan's energy on others'.",
    )
    yield "no plan depends on another"


class _Arm:
    """Features that move with the action; it remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []

    def __call__(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        require(
            isinstance(action, Tensor)
            and isinstance(state, Tensor)
            and action.ndim == 2
            and action.shape[-1] == 2
            and len(action) == len(state),
            f"the world got actions of shape {list(getattr(action, 'shape', []))} for "
            f"{len(state) if isinstance(state, Tensor) and state.ndim else 1} plans: give it one "
            "action for each plan.",
        )
        self.calls.append((state.detach(), action.detach()))
        moved = state + action[:, None]
        return moved, moved
