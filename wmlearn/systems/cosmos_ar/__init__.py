"""Cosmos's other family: a language model of video tokens (NVIDIA 2025, section 5.2)."""

from typing import TYPE_CHECKING

from wmlearn.systems.cosmos_ar.config import (
    PAPER_4B,
    PAPER_12B,
    CosmosARConfig,
    SamplerConfig,
    TransformerConfig,
)
from wmlearn.systems.cosmos_ar.transformer import Transformer

if TYPE_CHECKING:
    from wmlearn.systems.cosmos_ar.system import CosmosAR
    from wmlearn.systems.cosmos_ar.world import CosmosARState, CosmosARWorld

__all__ = [
    "PAPER_12B",
    "PAPER_4B",
    "CosmosAR",
    "CosmosARConfig",
    "CosmosARState",
    "CosmosARWorld",
    "SamplerConfig",
    "Transformer",
    "TransformerConfig",
]

_LATER = {"CosmosAR": "system", "CosmosARState": "world", "CosmosARWorld": "world"}


def __getattr__(name: str) -> type:
    """``CosmosAR`` brings Lightning with it, seconds that an exercise need not wait."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"wmlearn.systems.cosmos_ar.{_LATER[name]}"), name)
