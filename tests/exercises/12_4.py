"""The planner, mended in part only."""

from __future__ import annotations


def _choose(step, start, goal, plans, elites, *, carried=True, absolute=True, largest=False,
            axes=(1, 2), reverse=False):  # fmt: skip
    state = start
    for t in range(plans.shape[1]):
        action = plans[:, -1 - t] if reverse else plans[:, t]
        after, features = step(state if carried else start, action)
        state = after
    off = features - goal
    energy = off.abs().mean(axes) if absolute else off.mean(axes).abs()
    return plans[energy.topk(elites, largest=largest).indices].mean(0)


def state_thrown_away(*args):
    return _choose(*args, carried=False)


def errors_cancel(*args):
    return _choose(*args, absolute=False)


def largest_energy(*args):
    return _choose(*args, largest=True)


def backwards(*args):
    return _choose(*args, reverse=True)


def best_plan_alone(step, start, goal, plans, elites):
    return _choose(step, start, goal, plans, 1)


def maximum_of_the_patches(step, start, goal, plans, elites):
    state = start
    for t in range(plans.shape[1]):
        state, features = step(state, plans[:, t])
    energy = (features - goal).abs().amax((1, 2))
    return plans[energy.topk(elites, largest=False).indices].mean(0)


def first_action_of_all(step, start, goal, plans, elites):
    return _choose(step, start, goal, plans[:, :1], elites).expand(plans.shape[1:])


WRONG = [
    ("state_thrown_away", (state_thrown_away,), "thrown away"),
    ("errors_cancel", (errors_cancel,), "opposite sign cancel"),
    ("largest_energy", (largest_energy,), "farthest from the goal"),
    ("backwards", (backwards,), "step t of a plan is"),
    ("best_plan_alone", (best_plan_alone,), "the best plan alone"),
    ("maximum_of_the_patches", (maximum_of_the_patches,), "patches *and* features"),
    ("first_action_of_all", (first_action_of_all,), "for plans of 3 steps"),
]
