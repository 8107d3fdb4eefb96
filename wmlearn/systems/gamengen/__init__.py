"""GameNGen: a diffusion model of the next latent as a game engine (Valevski et al. 2024)."""

from typing import TYPE_CHECKING

from wmlearn.systems import later
from wmlearn.systems.gamengen.config import (
    PAPER,
    DenoiserConfig,
    GameNGenConfig,
    RewardEndConfig,
    SamplerConfig,
)
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.network import GameNGenNetwork
from wmlearn.systems.gamengen.reward_end import RewardEnd
from wmlearn.systems.gamengen.unet import UNet, UNetConfig
from wmlearn.systems.gamengen.world import GameNGenState, GameNGenWorld

if TYPE_CHECKING:
    from wmlearn.systems.gamengen.system import GameNGen

__all__ = [
    "PAPER",
    "Denoiser",
    "DenoiserConfig",
    "GameNGen",
    "GameNGenConfig",
    "GameNGenNetwork",
    "GameNGenState",
    "GameNGenWorld",
    "RewardEnd",
    "RewardEndConfig",
    "SamplerConfig",
    "UNet",
    "UNetConfig",
]

__getattr__ = later(__name__, GameNGen="system")
