"""Learned worlds, from recorded episodes to a policy trained in a dream.

    import wmlearn as wm

    world = wm.load_world("diamond-doom-basic")
    wm.play(world, env="doom/basic")

Everything in ``__all__``, and every folder, is loaded at its first use: this import stays fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Clip",
    "__version__",
    "evaluate",
    "list_envs",
    "load",
    "load_published",
    "load_world",
    "make",
    "play",
    "record",
    "save",
]

if TYPE_CHECKING:  # the same names as in _LAZY, for editors and type checkers
    from wmlearn.data.clip import Clip
    from wmlearn.data.record import record
    from wmlearn.envs import list_envs, make
    from wmlearn.evaluation import evaluate
    from wmlearn.hub import load, load_published, load_world, save
    from wmlearn.player import play

_LAZY = {
    "Clip": "wmlearn.data.clip",
    "evaluate": "wmlearn.evaluation",
    "list_envs": "wmlearn.envs",
    "load": "wmlearn.hub",
    "load_published": "wmlearn.hub",
    "load_world": "wmlearn.hub",
    "make": "wmlearn.envs",
    "play": "wmlearn.player",
    "record": "wmlearn.data.record",
    "save": "wmlearn.hub",
}
_SUBMODULES = (
    "agents chapters course data envs evaluation fast files grading hub metrics nn pixels player "
    "recipes systems teach train viz world"
).split()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        setattr(sys.modules[__name__], name, value)
        return value
    if name in _SUBMODULES:
        return import_module(f"wmlearn.{name}")
    raise AttributeError(f"wmlearn has no {name!r}; it offers {', '.join(sorted(__all__))}.")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
