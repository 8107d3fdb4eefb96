"""Tiers: how large a run is. A tier changes numbers, never code.

A chapter, a test and a cluster job run the same lines; what differs is one word, from the
command line (``--tier``) or the environment variable ``WMLEARN_TIER``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Tier:
    """Run sizes for one class of machines.

    Attributes:
        name: the word to choose it by.
        hardware: what it is meant for.
        minutes: rough training time of one chapter.
        devices: processes that train together, or "auto" for all accelerators that are there.
        num_nodes: machines.
        precision: Lightning's name for the arithmetic, or "auto": bf16-mixed where that is fast.
        strategy: Lightning's name for how processes share the work.
        num_workers: loader processes for each training process.
    """

    name: str
    hardware: str
    minutes: float
    devices: int | str
    num_nodes: int
    precision: str
    strategy: str
    num_workers: int


TIERS = {
    tier.name: tier
    for tier in (
        Tier("smoke", "any CPU; for tests", 0.1, 1, 1, "32-true", "auto", 0),
        Tier("laptop", "2 CPU cores, no GPU", 5, 1, 1, "auto", "auto", 0),
        Tier("colab", "one GPU with 16 GB", 60, 1, 1, "auto", "auto", 2),
        Tier("node", "8 GPUs in one machine", 120, "auto", 1, "auto", "ddp", 4),
        Tier("pod", "TPU, or several machines", 120, "auto", 2, "auto", "auto", 4),
    )
}


def current_tier() -> Tier:
    """The tier named by ``WMLEARN_TIER``; the laptop's if it is not set."""
    return get_tier(os.environ.get("WMLEARN_TIER", "laptop"))


def get_tier(name: str) -> Tier:
    """The tier called ``name``; ``ValueError`` lists the names there are."""
    if name not in TIERS:
        raise ValueError(f"There is no tier '{name}'; choose one of: {', '.join(TIERS)}.")
    return TIERS[name]
