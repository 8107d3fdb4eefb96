"""The gap between inside and outside, wrong."""

from __future__ import annotations

import numpy as np
import torch


def _gap(inside, outside, picks, ends=(0.025, 0.975)):
    gaps = inside.sum(1) - outside.sum(1)
    means = gaps[picks].mean(1)
    return gaps.mean(), means.quantile(ends[0]), means.quantile(ends[1])


def outside_first(inside, outside, picks):
    return _gap(outside, inside, picks)


def of_one_step(inside, outside, picks):
    steps = inside.shape[1]
    return tuple(x / steps for x in _gap(inside, outside, picks))


def without_a_sign(inside, outside, picks):
    gaps = (inside - outside).sum(1).abs()
    means = gaps[picks].mean(1)
    return gaps.mean(), means.quantile(0.025), means.quantile(0.975)


def absolute(inside, outside, picks):
    return _gap((inside - outside).abs(), 0 * outside, picks)


def of_the_last_reward(inside, outside, picks):
    return _gap(inside[:, -1:], outside[:, -1:], picks)


def exchanged(inside, outside, picks):
    mean, low, high = _gap(inside, outside, picks)
    return mean, high, low


def of_single_episodes(inside, outside, picks):
    gaps = (inside - outside).sum(1)
    return gaps.mean(), gaps.quantile(0.025), gaps.quantile(0.975)


def drawn_apart(inside, outside, picks):
    a = inside.sum(1)[picks].mean(1)
    b = outside.sum(1)[picks.flip(0)].mean(1)
    return (inside - outside).sum(1).mean(), (a - b).quantile(0.025), (a - b).quantile(0.975)


def difference_of_intervals(inside, outside, picks):
    a, b = (x.sum(1)[picks].mean(1) for x in (inside, outside))
    mean = (inside - outside).sum(1).mean()
    return mean, a.quantile(0.025) - b.quantile(0.975), a.quantile(0.975) - b.quantile(0.025)


def _end_by_end(inside, outside, picks):
    a, b = (x.sum(1)[picks].mean(1) for x in (inside, outside))
    ends = torch.tensor([0.025, 0.975])
    return (inside - outside).sum(1).mean(), *(a.quantile(ends) - b.quantile(ends))


def end_by_end(*args):
    return _end_by_end(*args)


def end_by_end_exchanged(*args):
    mean, low, high = _end_by_end(*args)
    return mean, high, low


def end_by_end_in_order(*args):
    mean, *ends = _end_by_end(*args)
    return mean, min(ends), max(ends)


def end_by_end_in_numpy(inside, outside, picks):
    """By another rule for what lies between two numbers."""
    a, b = (x.sum(1)[picks].mean(1).double().numpy() for x in (inside, outside))
    low, high = (
        np.percentile(a, q, method="nearest") - np.percentile(b, q, method="nearest")
        for q in (2.5, 97.5)
    )
    return (inside - outside).sum(1).mean(), low, high


def without_repeats(inside, outside, picks):
    gaps = (inside - outside).sum(1)
    means = torch.stack([gaps[row.unique()].mean() for row in picks])
    return gaps.mean(), means.quantile(0.025), means.quantile(0.975)


def of_medians(inside, outside, picks):
    gaps = (inside - outside).sum(1)
    means = gaps[picks].median(1).values
    return gaps.mean(), means.quantile(0.025), means.quantile(0.975)


def of_ninety(*args):
    return _gap(*args, ends=(0.05, 0.95))


def all_of_them(*args):
    return _gap(*args, ends=(0.0, 1.0))


def one_sigma(inside, outside, picks):
    gaps = (inside - outside).sum(1)
    return gaps.mean(), gaps.mean() - gaps[picks].mean(1).std(), gaps.mean() + gaps[picks].std()


def one_episode_a_row(inside, outside, picks):
    mean, *_ = _gap(inside, outside, picks)
    return (mean, *_gap(inside, outside, picks[:, :1])[1:])


def own_draws(inside, outside, picks):
    mine = torch.randint(len(inside), picks.shape, generator=torch.Generator().manual_seed(3))
    return _gap(inside, outside, mine)


def middle_of_the_draws(inside, outside, picks):
    means = (inside - outside).sum(1)[picks[:20]].mean(1)
    return means.mean(), *_gap(inside, outside, picks)[1:]


def only_the_mean(inside, outside, picks):
    return (inside - outside).sum(1).mean()


def in_place(inside, outside, picks):
    inside -= outside
    return _gap(inside, 0 * outside, picks)


WRONG = [
    ("outside_first", (outside_first,), "inside minus outside: above 0"),
    ("of_one_step", (of_one_step,), "the gap of one step"),
    ("without_a_sign", (without_a_sign,), "the gap has a sign"),
    ("of_the_last_reward", (of_the_last_reward,), "the mean gap is the mean over episodes"),
    ("exchanged", (exchanged,), "the ends are exchanged"),
    ("of_single_episodes", (of_single_episodes,), "gaps of single episodes"),
    ("drawn_apart", (drawn_apart,), "keep the two returns"),
    ("end_by_end", (end_by_end,), "keep inside and outside of an episode together"),
    ("without_repeats", (without_repeats,), "names twice counts twice"),
    ("of_ninety", (of_ninety,), "90 % of the means"),
    ("all_of_them", (all_of_them,), "should be the 2.5 %"),
    ("only_the_mean", (only_the_mean,), "three numbers"),
    ("in_place", (in_place,), "changed its argument"),
]
ALSO = [
    ("absolute", (absolute,), "the gap has a sign"),
    ("difference_of_intervals", (difference_of_intervals,), "two intervals, one of inside"),
    ("end_by_end_exchanged", (end_by_end_exchanged,), "two intervals, one of inside"),
    ("end_by_end_in_order", (end_by_end_in_order,), "two intervals, one of inside"),
    ("end_by_end_in_numpy", (end_by_end_in_numpy,), "two intervals, one of inside"),
    ("of_medians", (of_medians,), "should be the 2.5 %"),
    ("one_sigma", (one_sigma,), "should be the 2.5 %"),
    ("one_episode_a_row", (one_episode_a_row,), "gaps of single episodes"),
    ("own_draws", (own_draws,), "should be the 2.5 %"),
    ("middle_of_the_draws", (middle_of_the_draws,), "the mean gap is the mean over episodes"),
]


# Right answers in other styles.


def with_numpy(inside, outside, picks):
    gaps = (inside.double() - outside.double()).numpy().sum(1)
    return gaps.mean(), *np.percentile(gaps[picks.numpy()].mean(1), [2.5, 97.5])


def by_sorting(inside, outside, picks):
    gaps = (inside - outside).sum(1)
    means = sorted(sum(gaps[i] for i in row).item() / len(row) for row in picks)
    return gaps.mean(), means[int(0.025 * len(means))], means[int(0.975 * len(means))]


def as_a_matrix(inside, outside, picks):
    """Each row of picks as how often an episode is drawn."""
    counts = torch.nn.functional.one_hot(picks, len(inside)).sum(1)
    means = counts.to(inside) @ (inside.sum(1) - outside.sum(1)) / len(inside)
    ends = torch.quantile(means, torch.tensor([0.025, 0.975]))
    return [inside.sum(1).mean() - outside.sum(1).mean(), *ends]


def inside_and_outside_apart_but_alike(inside, outside, picks):
    a, b = (x[picks].sum(2).mean(1) for x in (inside, outside))
    means = (a - b).sort().values
    cut = round(len(means) * 0.025)
    return (inside - outside).mean() * inside.shape[1], means[cut], means[-cut - 1]


RIGHT = [
    ("with_numpy", (with_numpy,)),
    ("by_sorting", (by_sorting,)),
    ("as_a_matrix", (as_a_matrix,)),
    ("inside_and_outside_apart_but_alike", (inside_and_outside_apart_but_alike,)),
]
