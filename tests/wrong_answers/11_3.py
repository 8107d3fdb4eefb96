"""Two gauges of collapse, wrong."""

from __future__ import annotations

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


def not_centerd(features):
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
    ("not_centerd", (std, not_centerd), "subtract the mean over tokens"),
    ("singular_values", (std, singular_values), "shares are of standard deviations"),
    ("squared_again", (std, squared_again), "variances already"),
    ("entropy_alone", (std, entropy_alone), "that is the entropy"),
    ("in_bits", (std, in_bits), "(natural logarithm)"),
    ("participation_ratio", (std, participation_ratio), "participation ratio"),
    ("counts_directions", (std, counts_directions), "that counts directions"),
    ("zero_times_infinity", (std, zero_times_infinity), "0 · log 0"),
]
