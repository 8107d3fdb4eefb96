"""Sora: a diffusion transformer from a sentence to a video (Brooks, Peebles et al. 2024)."""

from typing import TYPE_CHECKING

from wmlearn.systems.sora.config import LARGE, SamplerConfig, SoraConfig, TextConfig

if TYPE_CHECKING:
    from wmlearn.systems.sora.system import Sora
    from wmlearn.systems.sora.world import SoraState, SoraWorld

__all__ = [
    "LARGE",
    "SamplerConfig",
    "Sora",
    "SoraConfig",
    "SoraState",
    "SoraWorld",
    "TextConfig",
]

_LATER = {"Sora": "system", "SoraState": "world", "SoraWorld": "world"}


def __getattr__(name: str) -> type:
    """``Sora`` brings Lightning with it, seconds that an exercise need not wait."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"wmlearn.systems.sora.{_LATER[name]}"), name)
