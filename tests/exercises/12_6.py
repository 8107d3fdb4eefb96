"""Driving until promise and deed part, wrong and right."""

from __future__ import annotations

import torch


def _l1(promised, z):
    return (promised - z).abs().mean()


def _drive(
    plan, predict, act, z, budget, tolerance, *,
    distance=_l1, real=False, never=False, always=False, stale=False, blind=False,
):  # fmt: skip
    left, promised, plans, start = [], z, 0, z
    for _ in range(budget):
        if not left:
            left = list(plan(promised if blind else z))
            promised = promised if stale and plans else z
            plans += 1
        action = left.pop(0)
        promised = predict(z if real else promised, action)
        z = act(action)
        if always or (not never and distance(promised, z) > tolerance):
            left = []
    return z if start is not None else start, plans


def _variant(**changes):
    def drive(plan, predict, act, z, budget, tolerance):
        return _drive(plan, predict, act, z, budget, tolerance, **changes)

    return drive


def whole_plans_only(plan, predict, act, z, budget, tolerance):
    plans = done = 0
    while done < budget:
        promised, plans = z, plans + 1
        for action in plan(z):
            promised, z, done = predict(promised, action), act(action), done + 1
            if _l1(promised, z) > tolerance:
                break
    return z, plans


def gives_the_promise(plan, predict, act, z, budget, tolerance):
    left, promised, plans = [], z, 0
    for _ in range(budget):
        if not left:
            left, promised, plans = list(plan(z)), z, plans + 1
        action = left.pop(0)
        promised, z = predict(promised, action), act(action)
        if _l1(promised, z) > tolerance:
            left = []
    return promised + 1, plans


def forgets_the_first_plan(plan, predict, act, z, budget, tolerance):
    z, plans = _drive(plan, predict, act, z, budget, tolerance)
    return z, plans - 1


def takes_the_last_action_first(plan, predict, act, z, budget, tolerance):
    return _drive(lambda z: plan(z).flip(0), predict, act, z, budget, tolerance)


def gives_the_last_promise(plan, predict, act, z, budget, tolerance):
    left, promised, plans = [], z, 0
    for _ in range(budget):
        if not left:
            left, promised, plans = list(plan(z)), z, plans + 1
        action = left.pop(0)
        promised, z = predict(promised, action), act(action)
        if _l1(promised, z) > tolerance:
            left = []
    return promised, plans


def fresh_promise_only_after_parting(plan, predict, act, z, budget, tolerance):
    left, promised, plans = [], z, 0
    for _ in range(budget):
        if not left:
            left, plans = list(plan(z)), plans + 1
        action = left.pop(0)
        promised, z = predict(promised, action), act(action)
        if _l1(promised, z) > tolerance:
            left, promised = [], z
    return z, plans


def plans_for_the_promise_at_the_end(plan, predict, act, z, budget, tolerance):
    left, promised, plans = [], z, 0
    for _ in range(budget):
        if not left:
            left, promised, plans = list(plan(promised)), z, plans + 1
        action = left.pop(0)
        promised, z = predict(promised, action), act(action)
        if _l1(promised, z) > tolerance:
            left, promised = [], z
    return z, plans


def plans_at_once(plan, predict, act, z, budget, tolerance):
    left, promised, plans = list(plan(z)), z, 1
    for _ in range(budget):
        if not left:
            left, promised, plans = list(plan(z)), z, plans + 1
        action = left.pop(0)
        promised, z = predict(promised, action), act(action)
        if _l1(promised, z) > tolerance:
            left, promised, plans = list(plan(z)), z, plans + 1
    return z, plans


def plans_at_the_end_of_a_plan(plan, predict, act, z, budget, tolerance):
    left, promised, plans = list(plan(z)), z, 1
    for _ in range(budget):
        action = left.pop(0)
        promised, z = predict(promised, action), act(action)
        if not left or _l1(promised, z) > tolerance:
            left, promised, plans = list(plan(z)), z, plans + 1
    return z, plans


def _adds_up(forget):
    def drive(plan, predict, act, z, budget, tolerance):
        left, promised, plans, total = [], z, 0, 0.0
        for _ in range(budget):
            if not left:
                left, promised, plans = list(plan(z)), z, plans + 1
                total = 0.0 if forget else total
            action = left.pop(0)
            promised, z = predict(promised, action), act(action)
            total = total + _l1(promised, z)
            if total > tolerance:
                left = []
        return z, plans

    return drive


# Right answers in other styles.


def with_two_loops(plan, predict, act, z, budget, tolerance):
    plans = done = 0
    while done < budget:
        promised, plans = z, plans + 1
        for action in plan(z)[: budget - done]:
            promised, z, done = predict(promised, action), act(action), done + 1
            if _l1(promised, z) > tolerance:
                break
    return z, plans


def with_an_index_in_float64(plan, predict, act, z, budget, tolerance):
    actions, at, count = torch.zeros(0, 1), 0, 0
    for _ in range(budget):
        if at == len(actions):
            actions, at, promised = plan(z).double(), 0, z.double()
            count += 1
        promised = predict(promised, actions[at])
        z = act(actions[at])
        at += 1
        if torch.nn.functional.l1_loss(promised, z.double()).item() > tolerance:
            at = len(actions)
    return z, torch.tensor(count)


def _signed(promised, z):
    return (promised - z).mean().abs()


WRONG = [
    ("a_plan_for_each_action", (_variant(always=True),), "every action gets a plan"),
    ("never_looks", (_variant(never=True),), "compare after *every* action"),
    ("promises_from_real_features", (_variant(real=True),), "small slips add up"),
    ("old_promises_go_on", (_variant(stale=True),), "go on from the old, wrong ones"),
    ("plans_for_the_promise", (_variant(blind=True),), "for where the arm should be"),
    (
        "at_the_tolerance_too",
        (_variant(distance=lambda p, z: _l1(p, z) + 1e-6 + 1e-3),),
        "a difference of exactly the tolerance",
    ),
    ("differences_cancel", (_variant(distance=_signed),), "opposite sign cancel"),
    (
        "largest_difference",
        (_variant(distance=lambda p, z: (p - z).abs().amax()),),
        "not the sum, the largest",
    ),
    (
        "median_difference",
        (_variant(distance=lambda p, z: (p - z).abs().median()),),
        "a median does not see it",
    ),
    ("whole_plans_only", (whole_plans_only,), "the budget is exactly"),
    ("gives_the_promise", (gives_the_promise,), "not the real ones after the last action"),
    ("forgets_the_first_plan", (forgets_the_first_plan,), "but the number that you return"),
    ("takes_the_last_action_first", (takes_the_last_action_first,), "each plan from its first"),
    ("gives_the_last_promise", (gives_the_last_promise,), "the last *promise*"),
    ("plans_at_once", (plans_at_once,), "after the last action, or counted"),
    ("squared", (_variant(distance=lambda p, z: (p - z).square().mean()),), "without squares"),
    ("distances_added_up", (_adds_up(forget=True),), "compare the newest promise alone"),
]
ALSO = [
    (
        "fresh_promise_only_after_parting",
        (fresh_promise_only_after_parting,),
        "go on from the old, wrong ones",
    ),
    (
        "plans_for_the_promise_at_the_end",
        (plans_for_the_promise_at_the_end,),
        "for where the arm should be",
    ),
    ("plans_at_the_end_of_a_plan", (plans_at_the_end_of_a_plan,), "after the last action"),
    ("added_up_for_good", (_adds_up(forget=False),), "compare the newest promise alone"),
]
RIGHT = [
    ("with_two_loops", (with_two_loops,)),
    ("with_an_index_in_float64", (with_an_index_in_float64,)),
]
