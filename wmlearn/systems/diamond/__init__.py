"""DIAMOND: a diffusion model of the next frame as a world model (Alonso et al. 2024)."""

from typing import TYPE_CHECKING

from wmlearn.systems import later
from wmlearn.systems.diamond.config import (
    PAPER,
    DenoiserConfig,
    DiamondConfig,
    RewardEndConfig,
    SamplerConfig,
)
from wmlearn.systems.diamond.denoiser import Denoiser
from wmlearn.systems.diamond.network import DiamondNetwork
from wmlearn.systems.diamond.reward_end import RewardEnd
from wmlearn.systems.diamond.sampler import sample
from wmlearn.systems.diamond.world import DiamondState, DiamondWorld

if TYPE_CHECKING:
    from wmlearn.systems.diamond.system import Diamond

__all__ = [
    "PAPER",
    "Denoiser",
    "DenoiserConfig",
    "Diamond",
    "DiamondConfig",
    "DiamondNetwork",
    "DiamondState",
    "DiamondWorld",
    "RewardEnd",
    "RewardEndConfig",
    "SamplerConfig",
    "sample",
]


__getattr__ = later(__name__, Diamond="system")
