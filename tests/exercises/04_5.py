"""The experiment on two futures, wrong."""

from __future__ import annotations

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
    ("one_step_too_many", (one_step_too_many,), "dream was called with [2, 3, 6, 21] steps"),
    ("probability_ignored", (probability_ignored,), "dream was called with p in"),
    ("the_other_future", (the_other_future,), "never happens"),
    ("distance_of_the_rare_share", (distance_of_the_rare_share,), "rare should be the share"),
    ("a_few_samples_only", (a_few_samples_only,), "each time with all 4000 samples"),
    ("mean_before_counting", (mean_before_counting,), "only then take the mean"),
]
