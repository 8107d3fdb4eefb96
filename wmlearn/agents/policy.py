"""The policy protocol of evaluation and play; and two baselines."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Policy(Protocol):
    """Acts on frames, many episodes at a time."""

    def reset(self, batch: int) -> None:
        """``batch`` episodes begin with the next frames."""
        ...

    def act(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` -> actions int64 ``[B]``."""
        ...


class RandomPolicy:
    """Uniform over a discrete action space."""

    def __init__(self, actions: int, seed: int = 0) -> None:
        self.actions = actions
        self.generator = torch.Generator().manual_seed(seed)

    def reset(self, batch: int) -> None:
        pass

    def act(self, frames: Tensor) -> Tensor:
        return torch.randint(self.actions, (len(frames),), generator=self.generator)


class Mixture:
    """Follows ``policy``, but acts at random in a share ``epsilon`` of the steps.

    Mixtures of a good and a random policy are policies of known order: what a rank correlation
    needs.
    """

    def __init__(self, policy: Policy, actions: int, epsilon: float, seed: int = 0) -> None:
        self.policy, self.epsilon = policy, epsilon
        self.random = RandomPolicy(actions, seed)

    def reset(self, batch: int) -> None:
        self.policy.reset(batch)

    def act(self, frames: Tensor) -> Tensor:
        action, other = self.policy.act(frames).cpu(), self.random.act(frames)
        explore = torch.rand(len(frames), generator=self.random.generator) < self.epsilon
        return torch.where(explore, other, action)
