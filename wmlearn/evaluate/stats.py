"""Numbers that carry their uncertainty: an estimate with a 95% bootstrap interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A measured number and its 95% interval; ``None`` bounds when no interval can be given."""

    value: float
    low: float | None = None
    high: float | None = None

    def format(self, digits: int = 1) -> str:
        """``28.6 [27.9, 29.3]``."""
        value, low, high = (  # + 0.0 turns -0.0 into 0.0
            "" if x is None else f"{round(x, digits) + 0.0:.{digits}f}"
            for x in (self.value, self.low, self.high)
        )
        return f"{value} [{low}, {high}]" if low and high else value

    def __str__(self) -> str:
        return self.format()


def bootstrap_weights(groups: Tensor, resamples: int = 2000, seed: int = 0) -> Tensor:
    """How often each item is drawn when whole groups are drawn with replacement.

    Clips of one episode resemble each other, so that it is episodes that are drawn, not clips
    (cluster bootstrap).

    Args:
        groups: int64 ``[n]``, the episode that each item comes from.

    Returns:
        float64 ``[resamples, n]``, counts; every row has at least one positive entry.
    """
    _, member = groups.unique(return_inverse=True)
    count = int(member.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (resamples, count), generator=generator)
    times = torch.zeros(resamples, count, dtype=torch.float64)
    times.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
    return times[:, member]


def mean_estimate(
    values: Tensor, groups: Tensor | None = None, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """The mean of ``values`` with a 95% percentile bootstrap interval.

    Args:
        values: ``[n]``, n >= 1.
        groups: int64 ``[n]``, the episode of each value; without it each value is its own.

    Returns:
        Without bounds where there is only one group: one episode says nothing about the spread.
    """
    values = torch.as_tensor(values, dtype=torch.float64).cpu().flatten()
    groups = torch.arange(len(values)) if groups is None else groups.cpu()
    if len(values) == 0 or len(groups) != len(values):
        raise ValueError(
            f"An estimate needs at least one value and one group per value; "
            f"got {len(values)} values and {len(groups)} groups."
        )
    mean = values.mean().item()
    if len(groups.unique()) < 2 or not math.isfinite(mean):
        return Estimate(mean)
    weights = bootstrap_weights(groups, resamples, seed)
    means = weights @ values / weights.sum(1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Estimate(mean, low, high)
