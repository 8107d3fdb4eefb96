"""Exercise 12.6: stop when promise and deed part."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import (
    close,
    exercise,
    integer,
    normal,
    pair,
    require,
    seeded,
    tensor,
)

_STALE = (
    "after a new plan the promises go on from the old, wrong ones: a new plan's first promise is "
    "made from the real features for which it was planned."
)
_SHOULD = (
    "the new plan was made for where the arm should be, not for where it is: give `plan` the real "
    "features."
)


@exercise("12.6", "stop when promise and deed part")
def promise_and_deed(drive: Answer, *, seed: int = 0) -> Iterator[str]:
    """``drive(plan, predict, act, z, budget, tolerance) -> (z, plans)``."""
    draw = seeded(seed)
    horizon = integer(draw, 3, 4)

    def run(arm: _Arm, budget: int, tolerance: float) -> tuple[Tensor, int]:
        hint = "return two things: the last real features, and how many plans were made."
        answer = pair(drive(arm.plan, arm.predict, arm.act, arm.start, budget, tolerance), 2, hint)
        last, plans = tensor(answer[0], (2, 3), "z"), tensor(answer[1], (), "plans")
        require(
            len(arm.done) == budget,
            f"{len(arm.done)} actions were taken; the budget is exactly {budget}, whatever a plan "
            "still holds.",
        )
        require(
            arm.promised is None or close(last, arm.z) or not close(last, arm.promised),
            "you return the last *promise*; asked are the real features, those that `act` gave.",
        )
        require(
            close(last, arm.z),
            "the features that you return are not the real ones after the last action.",
        )
        return last, int(plans)

    # A world in which everything happens as promised.
    start, actions = normal(draw, 2, 3), normal(draw, 40)
    true = _Arm(start, actions, horizon, slip=[])
    budget = 2 * horizon + 1
    _, plans = run(true, budget, 0.1)
    require(
        true.done == [float(a) for a in actions[:budget]],
        "the actions are not those of the plan, one after the other, each plan from its first.",
    )
    require(
        len(true.planned) != budget or horizon == 1,
        "every action gets a plan of its own, though all went as promised: planning is what costs. "
        "Go on with the plan until it ends or promise and deed part.",
    )
    require(
        len(true.planned) == 3,
        f"{budget} actions of plans of {horizon} need 3 plans where nothing goes wrong; you made "
        f"{len(true.planned)}.",
    )
    require(plans == 3, f"3 plans were made, but the number that you return is {plans}.")
    require(
        all(close(z, want) for z, want in zip(true.planned, true.at, strict=True)),
        "a plan should be made for where the arm really is: give `plan` the newest real features.",
    )
    even = _Arm(start, actions, horizon, slip=[])
    _, plans = run(even, 2 * horizon, 0.1)
    parted = _Arm(start, actions, horizon, slip=[0.0] * (horizon - 2) + [1.0])
    _, after_all = run(parted, horizon - 1, 0.5)
    require(
        even.when == [0, horizon] and parted.when == [0] and plans == 2 and after_all == 1,
        "a plan was made after the last action, or counted though it was not made: make a new one "
        "only where an action is still to be taken, at the beginning of the loop.",
    )
    yield "plans are carried out to their end while all goes well"

    # The arm slips once, in the second action: the plan is given up at once.
    once = _Arm(start, actions, horizon, slip=[0.0, 1.0])
    run(once, horizon + 2, 0.5)
    require(
        once.when != [0, horizon],
        "the arm slipped in its second action by more than the tolerance, and the plan was carried "
        "on: compare after *every* action, and give up the rest of the plan.",
    )
    _judge_distance(run, lambda slip, **kind: _Arm(start, actions, horizon, slip, **kind))
    yield "the distance is the mean absolute difference"

    off = _Arm(start, actions, horizon, slip=[0.3])
    run(off, horizon, 0.5)
    require(
        off.when == [0],
        "the arm is off by 0.3 after each action of a plan, which is within the tolerance of 0.5, "
        "and yet the plan was given up: compare the newest promise alone, without adding up the "
        "distances of a plan.",
    )
    require(once.when[:3] != [0, 2, 3], _STALE)
    require(
        once.when == [0, 2],
        f"after the slip in action 2 a new plan should be made before action 3; yours were made "
        f"before actions {[n + 1 for n in once.when]}.",
    )
    require(close(once.planned[1], once.at[1]), _SHOULD)
    yield "a deed that differs from its promise ends the plan"

    # It slips a little in each action: each is within the tolerance, together they are not.
    slow = _Arm(start, actions, horizon, slip=[0.3] * 20)
    run(slow, horizon, 0.5)
    require(
        slow.when != [0],
        "small slips add up, and the plan does not notice: each promise was made from the newest "
        "*real* features. A plan promises a whole path: predict on from its own last promise.",
    )
    require(
        slow.when == [0, 2],
        f"slips of 0.3 and a tolerance of 0.5: after two actions promise and deed are 0.6 apart, "
        f"so a new plan is due before action 3; yours were before {[n + 1 for n in slow.when]}.",
    )
    after = _Arm(start, actions, horizon, slip=[1.0] + [0.0] * 20)
    run(after, horizon + 1, 0.5)
    require(after.when == [0, 1], _STALE)
    # A plan ends within the tolerance: the next one begins at the real features all the same.
    ended = _Arm(start, actions, horizon, slip=[0.3] + [0.0] * (horizon - 1) + [0.3])
    run(ended, 2 * horizon, 0.5)
    require(ended.when == [0, horizon], _STALE)
    require(close(ended.planned[1], ended.at[1]), _SHOULD)
    yield "the promises of a plan follow from each other"


def _judge_distance(run: Callable, arm: Callable[..., _Arm]) -> None:
    """Arms that slip in their first action, by exactly the tolerance or in some features only."""
    edge = arm([0.5], whole=True)
    run(edge, 2, 0.5)
    require(
        edge.when == [0],
        "a difference of exactly the tolerance is still within it: give up when it is *larger*.",
    )
    signs = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]).double()
    mixed = arm([1.0], pattern=signs)
    run(mixed, 2, 0.5)
    require(
        mixed.when == [0, 1],
        "differences of opposite sign cancel: the distance is the mean *absolute* difference.",
    )
    flat = arm([0.6])
    run(flat, 2, 0.5)
    require(
        flat.when == [0, 1],
        "all features are off by 0.6, more than the tolerance of 0.5, and the plan was carried on: "
        "the distance is the mean *absolute* difference, without squares.",
    )
    single = torch.zeros(2, 3).double()
    single[1, 2] = 1.0
    few = arm([1.8], pattern=single)
    run(few, 2, 0.5)
    require(
        few.when == [0],
        "one feature of six is off by 1.8, so the mean distance is 0.3, within the tolerance of "
        "0.5: take the mean over all features, not the sum, the largest or a root.",
    )
    far = arm([3.6], pattern=single)
    run(far, 2, 0.5)
    require(
        far.when == [0, 1],
        "one feature of six is off by 3.6, so the mean distance is 0.6, more than the tolerance of "
        "0.5: take the mean over all features; a median does not see it.",
    )


class _Arm:
    """An arm whose features move with the action, and slip away from what was promised."""

    def __init__(
        self,
        start: Tensor,
        actions: Tensor,
        horizon: int,
        slip: list[float],
        pattern: Tensor | None = None,
        whole: bool = False,
    ) -> None:
        if whole:  # so that differences are exact
            start, actions = start.round(), actions.round()
        self.start, self.z = start, start.clone()
        self.actions, self.horizon, self.slip = actions, horizon, slip
        self.pattern = torch.ones(2, 3).double() if pattern is None else pattern
        self.promised: Tensor | None = None  # by the last prediction
        self.done: list[float] = []
        self.planned: list[Tensor] = []  # for which features a plan was made,
        self.at: list[Tensor] = []  # where the arm really was,
        self.when: list[int] = []  # and after how many actions

    def plan(self, z: Tensor) -> Tensor:
        self.planned.append(z.detach())
        self.at.append(self.z.float().double())
        self.when.append(len(self.done))
        first = len(self.done)
        return self.actions[first : first + self.horizon, None]

    def predict(self, z: Tensor, action: Tensor) -> Tensor:
        self.promised = z.detach() + _number(action)
        return z + _number(action)

    def act(self, action: Tensor) -> Tensor:
        number = len(self.done)
        self.done.append(_number(action))
        slip = self.slip[number] if number < len(self.slip) else 0.0
        self.z = self.z + self.done[-1] + slip * self.pattern
        return self.z


def _number(action: object) -> float:
    action = torch.as_tensor(action)
    require(
        action.numel() == 1,
        f"predict and act take one action, [A] = [1], not one of shape {list(action.shape)}.",
    )
    return float(action.reshape(()))
