"""GameNGen: a diffusion model of the next latent as a game engine (Valevski et al. 2024)."""

from typing import TYPE_CHECKING

from wmlearn.systems.gamengen.config import (
    PAPER,
    DenoiserConfig,
    GameNGenConfig,
    RewardEndConfig,
    SamplerConfig,
)
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.reward_end import RewardEnd
from wmlearn.systems.gamengen.unet import UNet, UNetConfig

if TYPE_CHECKING:
    from wmlearn.systems.gamengen.system import GameNGen
    from wmlearn.systems.gamengen.world import GameNGenState, GameNGenWorld

__all__ = [
    "PAPER",
    "Denoiser",
    "DenoiserConfig",
    "GameNGen",
    "GameNGenConfig",
    "GameNGenState",
    "GameNGenWorld",
    "RewardEnd",
    "RewardEndConfig",
    "SamplerConfig",
    "UNet",
    "UNetConfig",
]

_LATER = {"GameNGen": "system", "GameNGenState": "world", "GameNGenWorld": "world"}


def __getattr__(name: str) -> type:
    """``GameNGen`` brings Lightning with it, seconds that an exercise need not wait."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"wmlearn.systems.gamengen.{_LATER[name]}"), name)
