"""Lambda-returns: the targets of a value learned in imagination."""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(
    rewards: Tensor, values: Tensor, terminated: Tensor, gamma: float, lambda_: float
) -> Tensor:
    """The mixture of all n-step returns with weights (1 - lambda) lambda^n.

    R_t = r_t + gamma * (1 - d_t) * ((1 - lambda) * V_{t+1} + lambda * R_{t+1}), R_T = V_T:
    DIAMOND's appendix on reinforcement learning; Sutton & Barto 2018, section 12.1. The
    imagination's horizon is a truncation, not an end: there the value of the last state stands in.

    Args:
        rewards: float ``[B, T]``, for the step from state t to t + 1.
        values: float ``[B, T]``, V of the states 1 .. T, *after* each step.
        terminated: bool ``[B, T]``, whether the episode ended with the step.
        gamma: discount, 0..1.
        lambda_: 0 takes the one-step return, 1 the return of the whole imagined episode.

    Returns:
        float ``[B, T]``, without gradient.
    """
    with torch.no_grad():
        going_on = gamma * (~terminated).to(rewards.dtype)
        following = values[:, -1]
        returns = []
        for t in reversed(range(rewards.shape[1])):
            mixed = (1 - lambda_) * values[:, t] + lambda_ * following
            following = rewards[:, t] + going_on[:, t] * mixed
            returns.append(following)
        return torch.stack(returns[::-1], dim=1)
