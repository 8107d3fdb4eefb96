"""A running average of weights, for loops of a chapter's own; ``fit`` leaves it to Lightning."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class Average:
    """A running average of weights, which forgets faster while there is little to remember.

    Args:
        parameters: what is averaged; the average begins as they are.
        decay: share that a step keeps in the end.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = list(parameters), decay
        self.kept = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After a step of this number: keeps (1 + step) / (10 + step), and ``decay`` at most."""
        keep = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.kept, [p.detach() for p in self.parameters], 1 - keep)

    @torch.no_grad()
    def use(self) -> None:
        """Puts the average in the weights' place."""
        for parameter, kept in zip(self.parameters, self.kept, strict=True):
            parameter.copy_(kept)
