"""Genie: a playable world learned from video without actions (Bruce et al. 2024)."""

from typing import TYPE_CHECKING

from wmlearn.systems import later
from wmlearn.systems.genie.config import (
    PAPER,
    DynamicsConfig,
    GenieConfig,
    LatentActionConfig,
    SamplerConfig,
    TokenizerConfig,
)
from wmlearn.systems.genie.dynamics import Dynamics, training_mask
from wmlearn.systems.genie.latent_action import LatentActionModel, LatentActions
from wmlearn.systems.genie.network import GenieNetwork
from wmlearn.systems.genie.tokenizer import Tokenized, Tokenizer
from wmlearn.systems.genie.world import GenieState, GenieWorld

if TYPE_CHECKING:
    from wmlearn.systems.genie.system import Genie

__all__ = [
    "PAPER",
    "Dynamics",
    "DynamicsConfig",
    "Genie",
    "GenieConfig",
    "GenieNetwork",
    "GenieState",
    "GenieWorld",
    "LatentActionConfig",
    "LatentActionModel",
    "LatentActions",
    "SamplerConfig",
    "Tokenized",
    "Tokenizer",
    "TokenizerConfig",
    "training_mask",
]

__getattr__ = later(__name__, Genie="system")
