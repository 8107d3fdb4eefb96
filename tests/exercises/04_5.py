"""The experiment on two futures, wrong."""

from __future__ import annotations

import numpy as np
import torch


def _samples(dream, ps, steps, samples):
    return torch.stack([torch.stack([dream(p, n, samples) for n in steps]) for p in ps])


def _shares(x):
    return (x.abs() < 0.5).float().mean(dim=-1), (x < -0.5).float().mean(dim=-1)


def transposed(dream, ps, steps, samples):
    between, rare = _shares(_samples(dream, ps, steps, samples))
    return between.T, rare.T


def counts_in_place_of_shares(dream, ps, steps, samples):
    between, rare = _shares(_samples(dream, ps, steps, samples))
    return between * samples, rare * samples


def complement(dream, ps, steps, samples):
    between, rare = _shares(_samples(dream, ps, steps, samples))
    return 1 - between, rare


def far_from_one_future_only(dream, ps, steps, samples):
    x = _samples(dream, ps, steps, samples)
    return ((x - 1).abs() > 0.5).float().mean(dim=-1), _shares(x)[1]


def mean_before_counting(dream, ps, steps, samples):
    mean = _samples(dream, ps, steps, samples).mean(dim=-1)
    return (mean.abs() < 0.5).float(), (mean < -0.5).float()


def one_step_too_many(dream, ps, steps, samples):
    return _shares(_samples(dream, ps, [n + 1 for n in steps], samples))


def probability_ignored(dream, ps, steps, samples):
    return _shares(_samples(dream, [0.5] * len(ps), steps, samples))


def the_other_future(dream, ps, steps, samples):
    x = _samples(dream, ps, steps, samples)
    return _shares(x)[0], (x > 0.5).float().mean(dim=-1)


def distance_of_the_rare_share(dream, ps, steps, samples):
    between, rare = _shares(_samples(dream, ps, steps, samples))
    return between, (rare - (1 - torch.tensor(ps)[:, None])).abs()


def a_few_samples_only(dream, ps, steps, samples):
    return _shares(_samples(dream, ps, steps, 100))


WRONG = [
    ("counts_in_place_of_shares", (counts_in_place_of_shares,), "shares from 0 to 1"),
    ("complement", (complement,), "did reach a future"),
    ("transposed", (transposed,), "should have shape [3, 4], but has [4, 3]"),
    ("far_from_one_future_only", (far_from_one_future_only,), "far from BOTH"),
    ("one_step_too_many", (one_step_too_many,), "asked were [1, 2, 5, 22]"),
    ("probability_ignored", (probability_ignored,), "dream was called with p in"),
    ("the_other_future", (the_other_future,), "never happens"),
    ("distance_of_the_rare_share", (distance_of_the_rare_share,), "rare should be the share"),
    ("mean_before_counting", (mean_before_counting,), "only then take the mean"),
]


def always_4000(dream, ps, steps, samples):
    x = torch.stack([torch.stack([dream(p, n, 4000) for n in steps]) for p in ps])
    return (x.abs() < 0.5).float().mean(-1), (x < -0.5).float().mean(-1)


def edge_counts_too(dream, ps, steps, samples):
    x = torch.stack([torch.stack([dream(p, n, samples) for n in steps]) for p in ps])
    return (x.abs() <= 0.5).float().mean(-1), (x <= -0.5).float().mean(-1)


def nearer_to_the_middle(dream, ps, steps, samples):
    x = torch.stack([torch.stack([dream(p, n, samples) for n in steps]) for p in ps])
    between = (x.abs() < 0.45).float().mean(-1)
    return between, (x < -0.5).float().mean(-1)


# Right answers in other styles.


def with_numpy_loops(dream, ps, steps, samples):
    between, rare = np.zeros((len(ps), len(steps))), np.zeros((len(ps), len(steps)))
    for i, p in enumerate(ps):
        for j, n in enumerate(steps):
            x = dream(p, n, samples).numpy()
            between[i, j] = np.mean(np.abs(x) < 0.5)
            rare[i, j] = np.mean(x < -0.5)
    return between, rare


def lists_of_numbers(dream, ps, steps, samples):
    drawn = [[dream(p, n, samples).tolist() for n in steps] for p in ps]

    def share(test):
        return [[sum(map(test, x)) / samples for x in row] for row in drawn]

    return share(lambda v: -0.5 < v < 0.5), share(lambda v: v < -0.5)


WRONG += [
    ("always_4000", (always_4000,), "number that experiment was asked for"),
    ("edge_counts_too", (edge_counts_too,), "exactly at -0.5 or 0.5"),
    ("nearer_to_the_middle", (nearer_to_the_middle,), "in some place of the table"),
]


def rare_left_of_the_middle(dream, ps, steps, samples):
    x = _samples(dream, ps, steps, samples)
    return _shares(x)[0], (x < 0).float().mean(dim=-1)


def between_up_to_one(dream, ps, steps, samples):
    x = _samples(dream, ps, steps, samples)
    return (x.abs() < 1).float().mean(dim=-1), _shares(x)[1]


def tables_exchanged(dream, ps, steps, samples):
    return _shares(_samples(dream, ps, steps, samples))[::-1]


def tables_stacked(dream, ps, steps, samples):
    return torch.stack(_shares(_samples(dream, ps, steps, samples)))


WRONG += [
    ("rare_left_of_the_middle", (rare_left_of_the_middle,), "left of the middle, x < 0"),
    ("between_up_to_one", (between_up_to_one,), "every sample with |x| < 1"),
    ("tables_exchanged", (tables_exchanged,), "tables are exchanged"),
]
RIGHT = [
    ("tables_stacked", (tables_stacked,)),
    ("with_numpy_loops", (with_numpy_loops,)),
    ("lists_of_numbers", (lists_of_numbers,)),
]
ALSO = [("a_few_samples_only", (a_few_samples_only,), "number that experiment was asked for")]
