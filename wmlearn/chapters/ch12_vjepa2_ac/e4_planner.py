"""Exercise 12.4: mend the planner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import between, close, exercise, normal, require, seeded, tensor

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
    goals = _features(end)
    answer = run(goals[5:6], 1)
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
        not close(arm.calls[1][0], _features(after)),
        "the features were given to the next step in place of the state: `step` gives back two "
        "things, first the state, which goes on, then the features, which are compared.",
    )
    require(
        close(arm.calls[1][0], after),
        "every step begins at the start: the state that the world gives back is thrown away, so a "
        "plan of three steps is judged by its last step alone.",
    )
    yield "the plan is carried on from step to step"

    # Plan 2 crosses the goal on its way and goes on; plan 7 ends near it.
    way = torch.full((3, 8, 4, 2), 5.0).double()
    way[:, 2] = torch.tensor([2.0, 0.0, 2.0])[:, None, None]
    way[:, 7] = torch.tensor([4.0, 2.0, 0.5])[:, None, None]
    turn: list[int] = []

    def watch(state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        turn.append(0)
        return state, way[(len(turn) - 1) % 3]

    on_its_way = run(torch.zeros(1, 4, 2), 1, watch)
    require(
        not close(on_its_way, plans[2]),
        "a plan that crosses the goal and goes on was chosen: only its *last* features count, not "
        "the nearest, the sum or the mean of its way.",
    )
    # The state of plan 2 looks like the goal, the features of plan 7 are the goal.
    states, shown = torch.full((2, 8, 4, 2), 5.0).double()
    states[2], shown[7] = 0.0, 0.0
    seen = run(torch.zeros(1, 4, 2), 1, lambda state, action: (states, shown))
    require(
        not close(seen, plans[2]),
        "the *state* was compared with the goal; the goal is given as features, so compare the "
        "features that `step` gives.",
    )
    energy = (goals - goals[5:6]).abs().mean((1, 2))
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
    two = run(goals[5:6], 2)
    require(
        not close(two, plans[order[0]]),
        "with two elites the answer is still the best plan alone: average over the elites.",
    )
    yield "plans that end at the goal are chosen, as many as there are elites"

    # The ends of eight plans, told by hand: plan 3 is right but for one number, plan 1 a little
    # off in all. In plans 0, 4 and 6 errors cancel: over features, over patches, over both.
    ends = torch.full((8, 4, 2), 3.0).double()
    ends[0] = torch.tensor([2.0, -2.0])
    ends[1], ends[3] = 0.4, 0.05
    ends[3, 2, 1] = 1.5
    ends[4] = torch.tensor([2.0, -2.0, 2.0, -2.0])[:, None]
    ends[6] = torch.tensor([[2.0, 1.0], [-1.0, -2.0], [2.0, -2.0], [1.0, -1.0]])
    picked = run(torch.zeros(1, 4, 2), 1, lambda state, action: (state, ends))
    require(not any(close(picked, plans[k]) for k in (0, 4, 6)), _CANCEL)
    sign = 2.0 * torch.randint(0, 2, (1, 4, 2), generator=draw) - 1
    goal = sign * between(draw, 1.0, 2.0, 1, 4, 2)

    def falls_for(rival: Tensor, right: Tensor | float = 0.3) -> bool:
        """Whether plan 6, off by ``rival``, is preferred to plan 3, off by ``right`` and nearer."""
        ends = (goal + 3 * sign).repeat(8, 1, 1)  # all others are far off
        ends[3], ends[6] = goal[0] + right, goal[0] + rival
        return close(run(goal, 1, lambda state, action: (state, ends)), plans[6])

    require(
        not falls_for(-2 * goal[0]),
        "a plan was chosen whose features are those of the goal with the *opposite sign*: compare "
        "the features themselves, and take abs() of the difference, not of the two.",
    )
    for axis, name in enumerate(("patch", "feature")):
        for k in range(4 if axis == 0 else 2):
            rival = torch.full((4, 2), 2.0).double()
            rival.select(axis, k).zero_()
            require(
                not falls_for(rival),
                f"a plan was chosen that is right in {name} {k} alone: the distance is a mean over "
                "all patches and all features.",
            )
    require(
        close(picked, plans[3]),
        "the distance should be a mean over patches *and* features of each plan: with one axis "
        "left out, with squares, `norm` or the maximum, another plan looks better.",
    )
    one_feature, one_patch = torch.zeros(2, 4, 2).double()
    one_feature[:, 0], one_patch[0] = 1.0, 1.0
    for right, off in ((one_feature, 0.6), (one_patch, 0.4)):
        require(
            not falls_for(torch.full((4, 2), off).double(), right),
            "that is a Euclidean distance (`norm`, a root of squares) along one axis; the L1 "
            "distance is the mean of the absolute differences.",
        )
    require(
        close(two, plans[order[:2]].mean(0)),
        "with two elites the answer should be the mean of the two plans of least energy.",
    )
    yield "the energy is the L1 distance of all features"

    require(
        close(on_its_way, plans[7]),
        "the plan that ends nearest to the goal was not chosen: only its *last* features count.",
    )
    require(close(seen, plans[7]), "the plan whose features are the goal's was not chosen.")
    yield "only where a plan ends counts"

    shuffled = torch.randperm(8, generator=draw)
    mixed = choose(_Arm(), begin, goals[5:6], plans[shuffled], 2)
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
        return moved, _features(moved)


def _features(state: Tensor) -> Tensor:
    """What the arm looks like: unlike its state, and as far from others as that is."""
    return 4.0 - state.flip(1)
