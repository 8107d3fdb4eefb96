"""DIAMOND: a diffusion model of the next frame as a world model (Alonso et al. 2024)."""

from typing import TYPE_CHECKING

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
from wmlearn.systems.diamond.world import DiamondState, DiamondWorld

if TYPE_CHECKING:
    from wmlearn.systems.diamond.system import Diamond

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


def __getattr__(name: str) -> type:
    """``Diamond`` brings Lightning with it, seconds that an exercise's sampler need not wait."""
    if name != "Diamond":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wmlearn.systems.diamond.system import Diamond

    return Diamond
