"""Genie: a playable world learned from video without actions (Bruce et al. 2024)."""

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
from wmlearn.systems.genie.system import Genie
from wmlearn.systems.genie.tokenizer import Tokenized, Tokenizer
from wmlearn.systems.genie.world import GenieState, GenieWorld

__all__ = [
    "PAPER",
    "Dynamics",
    "DynamicsConfig",
    "Genie",
    "GenieConfig",
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
