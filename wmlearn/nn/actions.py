"""An action as a vector, whether it is a choice or some numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def action_embedding(
    dim: int,
    num_actions: int,
    bounds: tuple[tuple[float, float], ...] = (),
) -> nn.Module:
    """The map from actions to vectors ``[..., dim]``: a table, or linear.

    Args:
        dim: width of a vector.
        num_actions: choices of a Discrete space, int64 ``[...]``.
        bounds: of a Box, the lowest and the highest value of each of its A numbers, float
            ``[..., A]``; ``num_actions`` then does not count.
    """
    return LinearActions(dim, bounds) if bounds else nn.Embedding(num_actions, dim)


class LinearActions(nn.Linear):
    """A linear map of numbers that are brought to [-1, 1] by their bounds."""

    def __init__(self, dim: int, bounds: tuple[tuple[float, float], ...]) -> None:
        super().__init__(len(bounds), dim)
        low, high = torch.tensor(bounds).T
        reach = torch.where(high > low, (high - low) / 2, 1.0)  # a number that cannot vary says 0
        self.register_buffer("middle", (low + high) / 2, persistent=False)
        self.register_buffer("reach", reach, persistent=False)

    def forward(self, actions: Tensor) -> Tensor:
        return super().forward((actions - self.middle) / self.reach)
