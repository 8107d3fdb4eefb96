"""DIAMOND: a diffusion model of the next frame as a world model (Alonso et al. 2024)."""

from wmlearn.systems.diamond.config import (
    PAPER,
    DenoiserConfig,
    DiamondConfig,
    RewardEndConfig,
    SamplerConfig,
)
from wmlearn.systems.diamond.denoiser import Denoiser
from wmlearn.systems.diamond.reward_end import RewardEnd
from wmlearn.systems.diamond.sampler import sample
from wmlearn.systems.diamond.system import Diamond
from wmlearn.systems.diamond.world import DiamondState, DiamondWorld

__all__ = [
    "PAPER",
    "Denoiser",
    "DenoiserConfig",
    "Diamond",
    "DiamondConfig",
    "DiamondState",
    "DiamondWorld",
    "RewardEnd",
    "RewardEndConfig",
    "SamplerConfig",
    "sample",
]
