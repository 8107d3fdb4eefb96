"""Optimizers and schedules of the learning rate, written once for all systems.

A schedule maps a step's number, 0 for the first, to a factor of the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.nn import Parameter

Schedule = Callable[[int], float]


def adamw(
    parameters: Iterable[Parameter] | list[dict],
    learning_rate: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    fused: bool | None = True,
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019), one kernel for all weights unless ``fused`` is None."""
    return torch.optim.AdamW(
        parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=fused
    )


def decay_groups(parameters: Iterable[Parameter]) -> list[dict]:
    """Two groups of what is trained: matrices, and biases and norms, which are not decayed."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1]},
        {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
    ]


def warmup(steps: int) -> Schedule:
    """Rises linearly over ``steps`` steps, the first of which is not 0, and stays at 1."""
    return lambda step: min(1.0, (step + 1) / max(steps, 1))


def warmup_cosine(warmup_steps: int, steps: float, begin: float = 0) -> Schedule:
    """``warmup``, and meanwhile half a cosine from 1 to 0 over ``steps``; 0: no cosine.

    Args:
        warmup_steps: over which the factor rises.
        steps: over which it falls, both counted from ``begin``.
        begin: the step at which it starts.
    """
    rise = warmup(warmup_steps)

    def factor(step: int) -> float:
        step = step - begin
        if not steps:
            return rise(step)
        return rise(step) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))

    return factor


def only_within(schedule: Schedule, begin: float, end: float) -> Schedule:
    """``schedule`` from step ``begin`` on and before ``end``; 0 elsewhere."""
    return lambda step: schedule(step) if begin <= step < end else 0.0


def scheduled(
    optimizer: torch.optim.Optimizer, schedule: Schedule | Sequence[Schedule]
) -> dict[str, Any]:
    """What ``configure_optimizers`` returns: the optimizer, and its schedule step by step.

    Args:
        optimizer: of all weights.
        schedule: one for all its groups, or one for each.
    """
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}
