"""The planner, mended in part only."""

from __future__ import annotations

import torch


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
    ("largest_energy", (largest_energy,), "farthest from the goal"),
    ("backwards", (backwards,), "step t of a plan is"),
    ("best_plan_alone", (best_plan_alone,), "the best plan alone"),
    ("maximum_of_the_patches", (maximum_of_the_patches,), "patches *and* features"),
    ("first_action_of_all", (first_action_of_all,), "for plans of 3 steps"),
]


def nearest_on_the_way(step, start, goal, plans, elites):
    state, energies = start, []
    for t in range(plans.shape[1]):
        state, features = step(state, plans[:, t])
        energies.append((features - goal).abs().mean((1, 2)))
    energy = torch.stack(energies).amin(0)
    return plans[energy.topk(elites, largest=False).indices].mean(0)


def patches_averaged_first(step, start, goal, plans, elites):
    state = start
    for t in range(plans.shape[1]):
        state, features = step(state, plans[:, t])
    energy = (features - goal).mean(1).abs().mean(1)
    return plans[energy.topk(elites, largest=False).indices].mean(0)


def _energy(energy, compare_state=False):
    def choose(step, start, goal, plans, elites):
        state = start
        for t in range(plans.shape[1]):
            state, features = step(state, plans[:, t])
        off = energy(state if compare_state else features, goal)
        return plans[off.topk(elites, largest=False).indices].mean(0)

    return choose


def euclidean_in_each_patch(x, goal):
    return (x - goal).norm(dim=-1).mean(1)


def euclidean_over_patches(x, goal):
    return (x - goal).norm(dim=1).mean(1)


def magnitudes(x, goal):
    return (x.abs() - goal.abs()).abs().mean((1, 2))


def magnitudes_cancel(x, goal):
    return (x.abs() - goal.abs()).mean((1, 2)).abs()


def first_feature(x, goal):
    return (x - goal)[..., 0].abs().mean(1)


def first_patch(x, goal):
    return (x - goal)[:, 0].abs().mean(1)


def last_patch(x, goal):
    return (x - goal)[:, -1].abs().mean(1)


def features_go_on(step, start, goal, plans, elites):
    state = start
    for t in range(plans.shape[1]):
        _, state = step(state, plans[:, t])
    energy = (state - goal).abs().mean((1, 2))
    return plans[energy.topk(elites, largest=False).indices].mean(0)


def summed_over_the_way(step, start, goal, plans, elites):
    state, energy = start, 0.0
    for t in range(plans.shape[1]):
        state, features = step(state, plans[:, t])
        energy = energy + (features - goal).abs().mean((1, 2))
    return plans[energy.topk(elites, largest=False).indices].mean(0)


# Right answers in other styles.


def with_a_loop_over_plans(step, start, goal, plans, elites):
    state = start
    for action in plans.unbind(1):
        state, features = step(state, action)
    energy = [float((one - goal[0]).abs().double().mean()) for one in features]
    best = sorted(range(len(plans)), key=energy.__getitem__)[:elites]
    return sum(plans[k] for k in best) / elites


def with_cdist(step, start, goal, plans, elites):
    state = start.clone()
    for t in range(plans.shape[1]):
        state, features = step(state, plans[:, t])
    energy = torch.cdist(features.flatten(1), goal.flatten(1), p=1)[:, 0]
    return plans[energy.argsort()[:elites]].mean(0)


WRONG += [
    ("nearest_on_the_way", (nearest_on_the_way,), "crosses the goal and goes on"),
    ("patches_averaged_first", (patches_averaged_first,), "over features and over patches"),
    ("euclidean_in_each_patch", (_energy(euclidean_in_each_patch),), "a Euclidean distance"),
    ("magnitudes", (_energy(magnitudes),), "the *opposite sign*"),
    ("first_feature", (_energy(first_feature),), "right in feature 0 alone"),
    ("first_patch", (_energy(first_patch),), "right in patch 0 alone"),
    ("features_go_on", (features_go_on,), "given to the next step in place of the state"),
    (
        "state_is_compared",
        (_energy(lambda x, goal: (x - goal).abs().mean((1, 2)), compare_state=True),),
        "the *state* was compared",
    ),
]
RIGHT = [
    ("with_a_loop_over_plans", (with_a_loop_over_plans,)),
    ("with_cdist", (with_cdist,)),
]
ALSO = [
    ("errors_cancel", (errors_cancel,), "opposite sign cancel"),
    ("euclidean_over_patches", (_energy(euclidean_over_patches),), "patches *and* features"),
    ("magnitudes_cancel", (_energy(magnitudes_cancel),), "the *opposite sign*"),
    ("last_patch", (_energy(last_patch),), "right in patch 3 alone"),
    ("summed_over_the_way", (summed_over_the_way,), "only its *last* features count"),
]
