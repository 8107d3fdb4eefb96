"""Two gauges of collapse, wrong."""

from __future__ import annotations

import numpy as np
import torch


def std(features):
    """A right one, to go with the wrong ranks."""
    return features.std(dim=0).mean()


def _shares(features, center=True, power=1.0):
    x = features - features.mean(0) if center else features
    values = torch.linalg.eigvalsh(x.T @ x).clamp(min=0) ** power
    return values / values.sum()


def _entropy(share):
    return -(share * share.clamp(min=1e-20).log()).sum()


def rank(features):
    """A right one, to go with the wrong spreads."""
    return _entropy(_shares(features)).exp()


def std_over_channels(features):
    return features.std(dim=1).mean()


def std_of_everything(features):
    return features.std()


def variance(features):
    return features.var(dim=0).mean()


def not_centered(features):
    return _entropy(_shares(features, center=False)).exp()


def singular_values(features):
    return _entropy(_shares(features, power=0.5)).exp()


def squared_again(features):
    return _entropy(_shares(features, power=2.0)).exp()


def entropy_alone(features):
    return _entropy(_shares(features))


def in_bits(features):
    return _entropy(_shares(features)).div(torch.tensor(2.0).log()).exp()


def participation_ratio(features):
    return 1 / _shares(features).square().sum()


def counts_directions(features):
    return (_shares(features) > 1e-6).sum()


def zero_times_infinity(features):
    values = torch.linalg.svdvals(features - features.mean(0)) ** 2
    share = torch.where(values > 1e-9, values, 0) / values.sum()
    return torch.exp(-(share * share.log()).sum())


WRONG = [
    ("std_over_channels", (std_over_channels, rank), "over the channels of each token"),
    ("std_of_everything", (std_of_everything, rank), "thrown together"),
    ("variance", (variance, rank), "that is a variance"),
    ("singular_values", (std, singular_values), "shares are of standard deviations"),
    ("squared_again", (std, squared_again), "variances already"),
    ("entropy_alone", (std, entropy_alone), "that is the entropy"),
    ("in_bits", (std, in_bits), "(natural logarithm)"),
    ("participation_ratio", (std, participation_ratio), "participation ratio"),
    ("counts_directions", (std, counts_directions), "that counts directions"),
    ("zero_times_infinity", (std, zero_times_infinity), "0 · log 0"),
]


def one_mean_for_all(features):
    centered = features - features.mean()
    share = torch.linalg.svdvals(centered) ** 2
    share = share / share.sum()
    return torch.special.entr(share).sum().exp()


def negative_eigenvalues(features):
    values = torch.linalg.eigvalsh(features.T.cov())
    return torch.special.entr(values / values.sum()).sum().exp()


# Right answers in other styles.


def std_in_a_loop(features):
    spreads = []
    for channel in features.T:
        middle = sum(channel.tolist()) / len(channel)
        variance = sum((x - middle) ** 2 for x in channel.tolist()) / len(channel)
        spreads.append(variance**0.5)
    return sum(spreads) / len(spreads)


def rank_with_numpy(features):
    values = np.linalg.eigvalsh(np.cov(features.double().numpy(), rowvar=False)).clip(0)
    share = values / values.sum()
    share = share[share > 0]
    return np.exp(-(share * np.log(share)).sum())


WRONG += [
    ("not_centered", (std, not_centered), "subtract the mean over tokens"),
    ("negative_eigenvalues", (std, negative_eigenvalues), "a little *negative* by rounding"),
]
ALSO = [("one_mean_for_all", (std, one_mean_for_all), "subtract the mean over tokens")]
RIGHT = [("loop_and_numpy", (std_in_a_loop, rank_with_numpy))]


INPUTS = {"effective_rank": lambda draw: (torch.randn(9, 4, generator=draw).double(),)}
