"""Closed loop: do policies get the same returns in the dream as in the environment?

A world that is to replace an environment for choosing between policies must rank them as the
environment does (rank correlation), and ideally give the same returns (bias). Several policies from
random to expert are played in both, for the same number of steps, and the intervals come from
drawing their episodes again (bootstrap): they say what more episodes would change, not what other
policies would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.evaluation.utility import (
    Policy,
    over_episodes,
    play_dream,
    play_episodes,
    rank_estimate,
)
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.world import World


@dataclass(frozen=True)
class ClosedLoop:
    """Returns of several policies in the dream and in the real environment.

    Attributes:
        names: of the policies.
        dreamed: a float64 tensor ``[episodes]`` of undiscounted returns for each policy.
        real: the same, in the environment; the numbers of episodes may differ.
        steps: the most that an episode lasted, in both.
    """

    names: tuple[str, ...]
    dreamed: tuple[Tensor, ...]
    real: tuple[Tensor, ...]
    steps: int

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.dreamed) == len(self.real):
            raise ValueError("A closed loop needs names, dreams and real returns of each policy.")

    def means(self) -> dict[str, tuple[Estimate, Estimate]]:
        """Mean return in the dream and in the environment, by policy."""
        pairs = zip(self.names, self.dreamed, self.real, strict=True)
        return {name: (mean_estimate(a), mean_estimate(b)) for name, a, b in pairs}

    def spearman(self, resamples: int = 2000, seed: int = 0) -> Estimate | None:
        """Rank correlation of the policies' mean returns, -1..1; None if all are equal."""
        return rank_estimate(self.dreamed, self.real, resamples, seed)

    def pearson(self, resamples: int = 2000, seed: int = 0) -> Estimate | None:
        """Linear correlation of the policies' mean returns, -1..1; None if all are equal."""
        return over_episodes(_linear_correlation, self.dreamed, self.real, resamples, seed)

    def bias(self, resamples: int = 2000, seed: int = 0) -> Estimate:
        """Mean of dream minus real over the policies, in units of return."""
        bias = over_episodes(_mean_difference, self.dreamed, self.real, resamples, seed)
        assert bias is not None  # a difference is always defined
        return bias


def closed_loop(
    policies: Mapping[str, Policy],
    world: World,
    starts: Clip,
    env: str | gymnasium.Env,
    episodes: int = 30,
    steps: int = 100,
    seed: int = 0,
    **make_options,
) -> ClosedLoop:
    """Plays every policy in the dream and in the environment.

    Args:
        policies: three or more, by name; see :mod:`wmlearn.evaluation.utility`.
        world: the dream, which gives rewards in the environment's units.
        starts: real clips; each is the beginning of one dream. Take the beginnings of episodes, as
            the environment starts there, too.
        env: as in ``play_episodes``.
        episodes: in the environment.
        steps: the most that an episode lasts, in both.
        seed: of both.
        make_options: for :func:`wmlearn.envs.make`.
    """
    if len(policies) < 3:
        raise ValueError(f"Ranks need at least three policies; got {len(policies)}.")
    dreamed = [play_dream(policy, world, starts, steps, seed) for policy in policies.values()]
    real = [
        play_episodes(policy, env, episodes, seed, steps, **make_options)
        for policy in policies.values()
    ]
    return ClosedLoop(tuple(policies), tuple(dreamed), tuple(real), steps)


def _mean_difference(first: Tensor, second: Tensor) -> float:
    return (first - second).mean().item()


def _linear_correlation(first: Tensor, second: Tensor) -> float | None:
    first, second = first - first.mean(), second - second.mean()
    norms = first.norm() * second.norm()
    return None if norms == 0 else (first @ second / norms).item()
