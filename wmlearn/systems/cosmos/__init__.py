"""Cosmos: a diffusion world model over a causal video tokenizer (NVIDIA 2025)."""

from typing import TYPE_CHECKING

from wmlearn.systems.cosmos.config import (
    PAPER_7B,
    PAPER_14B,
    CosmosConfig,
    DenoiserConfig,
    SamplerConfig,
)
from wmlearn.systems.cosmos.denoiser import Denoiser

if TYPE_CHECKING:
    from wmlearn.systems.cosmos.system import Cosmos
    from wmlearn.systems.cosmos.world import CosmosState, CosmosWorld

__all__ = [
    "PAPER_14B",
    "PAPER_7B",
    "Cosmos",
    "CosmosConfig",
    "CosmosState",
    "CosmosWorld",
    "Denoiser",
    "DenoiserConfig",
    "SamplerConfig",
]

_LATER = {"Cosmos": "system", "CosmosState": "world", "CosmosWorld": "world"}


def __getattr__(name: str) -> type:
    """``Cosmos`` brings Lightning with it, seconds that an exercise need not wait."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"wmlearn.systems.cosmos.{_LATER[name]}"), name)
