"""The experiment on the model's holes, wrong."""

from __future__ import annotations

import numpy as np
import torch


def _experiment(episode, limits, horizons, tolerance, *, note="mean", gaps="all", table=None,
                skip=False):  # fmt: skip
    summary = {"mean": torch.mean, "median": torch.median, "last": lambda x: x[-1]}[note]
    rows = [[episode(limit, horizon) for horizon in horizons] for limit in limits]
    promised = torch.tensor([[float(summary(p)) for p, _ in row] for row in rows])
    real = torch.tensor([[float(summary(r)) for _, r in row] for row in rows])
    gap = real - promised
    gap = {"all": gap.amax(1), "mean": gap.mean(1), "promise": promised.amax(1)}[gaps]
    trusted = None
    for limit, off in zip(limits, gap.tolist(), strict=True):
        if off <= tolerance:
            trusted = limit
        elif not skip:
            break
    return promised, real, trusted


def swapped(*args):
    promised, real, trusted = _experiment(*args)
    return real, promised, trusted


def transposed(*args):
    promised, real, trusted = _experiment(*args)
    return promised.T, real.T, trusted


def medians(*args):
    return _experiment(*args, note="median")


def one_start_only(*args):
    return _experiment(*args, note="last")


def trusts_the_promise(*args):
    return _experiment(*args, gaps="promise")


def mean_over_horizons(*args):
    return _experiment(*args, gaps="mean")


def smallest_limit(episode, limits, horizons, tolerance):
    promised, real, trusted = _experiment(episode, limits, horizons, tolerance)
    return promised, real, None if trusted is None else limits[0]


def jumps_over_the_hole(*args):
    return _experiment(*args, skip=True)


def zero_for_none(*args):
    promised, real, trusted = _experiment(*args)
    return promised, real, trusted or 0.0


def first_horizon_for_all(episode, limits, horizons, tolerance):
    return _experiment(lambda a, h: episode(a, horizons[0]), limits, horizons, tolerance)


WRONG = [
    ("swapped", (swapped,), "tables are swapped"),
    ("transposed", (transposed,), "should have shape"),
    ("medians", (medians,), "a median does not see it"),
    ("one_start_only", (one_start_only,), "of one start only"),
    ("trusts_the_promise", (trusts_the_promise,), "not at promised alone"),
    ("mean_over_horizons", (mean_over_horizons,), "All horizons must be"),
    ("smallest_limit", (smallest_limit,), "asked is the largest"),
    ("jumps_over_the_hole", (jumps_over_the_hole,), "only if all smaller ones"),
    ("zero_for_none", (zero_for_none,), "the answer is None"),
    ("first_horizon_for_all", (first_horizon_for_all,), "every pair of limit and horizon"),
]


def _by(gap_of):
    def experiment(episode, limits, horizons, tolerance):
        promised, real = _tables_of(episode, limits, horizons)
        trusted = None
        for limit, p, r in zip(limits, promised, real, strict=True):
            if not gap_of(p, r, tolerance):
                break
            trusted = limit
        return promised, real, trusted

    return experiment


def _tables_of(episode, limits, horizons):
    rows = [[[float(x.mean()) for x in episode(a, h)] for h in horizons] for a in limits]
    return torch.tensor(rows).unbind(-1)


def tolerance_written_in(episode, limits, horizons, tolerance):
    return _experiment(episode, limits, horizons, 0.05)


def place_in_the_list(episode, limits, horizons, tolerance):
    promised, real, trusted = _experiment(episode, limits, horizons, tolerance)
    return promised, real, None if trusted is None else limits.index(trusted)


def count_of_limits(episode, limits, horizons, tolerance):
    promised, real, trusted = _experiment(episode, limits, horizons, tolerance)
    return promised, real, None if trusted is None else limits.index(trusted) + 1


# Right answers in other styles.


def with_numpy(episode, limits, horizons, tolerance):
    runs = [[episode(a, h) for h in horizons] for a in limits]
    promised = np.array([[np.mean(p.numpy()) for p, _ in row] for row in runs])
    real = np.array([[np.mean(r.numpy()) for _, r in row] for row in runs])
    good = np.all(real - promised <= tolerance, axis=1)
    count = len(limits) if good.all() else int(np.argmin(good))
    return promised, real, limits[count - 1] if count else None


def with_cumulative_trust(episode, limits, horizons, tolerance):
    promised, real = _tables_of(episode, limits, horizons)
    good = (real.double() - promised.double() <= tolerance).all(1).long().cumprod(0)
    count = int(good.sum())
    return promised, real, torch.tensor(limits)[count - 1] if count else None


WRONG += [
    (
        "absolute_gap",
        (_by(lambda p, r, tolerance: (r - p).abs().max() <= tolerance),),
        "*nearer* than the plan promised",
    ),
    (
        "longest_horizon_only",
        (_by(lambda p, r, tolerance: (r - p)[-1] <= tolerance),),
        "at the *shortest* horizon",
    ),
    (
        "less_than_the_tolerance",
        (_by(lambda p, r, tolerance: (r - p).max() < tolerance),),
        "exactly the tolerance is *at most*",
    ),
    (
        "largest_of_each",
        (_by(lambda p, r, tolerance: r.max() - p.max() <= tolerance),),
        "First subtract, at each horizon",
    ),
    (
        "minus_the_least_promise",
        (_by(lambda p, r, tolerance: r.max() - p.min() <= tolerance),),
        "the promise of the *same* horizon",
    ),
    (
        "real_alone",
        (_by(lambda p, r, tolerance: r.max() <= tolerance),),
        "not real alone",
    ),
    ("tolerance_written_in", (tolerance_written_in,), "take the argument `tolerance`"),
    ("place_in_the_list", (place_in_the_list,), "not its place in the list"),
]
ALSO = [
    ("count_of_limits", (count_of_limits,), "not its place in the list"),
    (
        "minus_the_mean_promise",
        (_by(lambda p, r, tolerance: r.max() - p.mean() <= tolerance),),
        "the promise of the *same* horizon",
    ),
]
RIGHT = [
    ("with_numpy", (with_numpy,)),
    ("with_cumulative_trust", (with_cumulative_trust,)),
]
