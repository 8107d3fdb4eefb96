"""Learned worlds, from recorded episodes to a policy trained in a dream.

    import wmlearn as wm

    world = wm.load_world("diamond-doom-basic")
    wm.play(world, env="doom/basic")

Everything in ``__all__``, and every folder, is loaded at its first use: this import stays fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Clip",
    "__version__",
    "evaluate",
    "list_envs",
    "load",
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
    from wmlearn.evaluate import evaluate
    from wmlearn.hub import load, load_world, save
    from wmlearn.play import play

_LAZY = {
    "Clip": "wmlearn.data.clip",
    "record": "wmlearn.data.record",
    "list_envs": "wmlearn.envs",
    "make": "wmlearn.envs",
    "load": "wmlearn.hub",
    "load_world": "wmlearn.hub",
    "save": "wmlearn.hub",
}
_CALLABLE = ("evaluate", "play")  # a folder and its main function share one name
_SUBMODULES = "agents course data envs hub nn systems teach train viz world".split()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        setattr(sys.modules[__name__], name, value)
        return value
    if name in _CALLABLE or name in _SUBMODULES:
        return import_module(f"wmlearn.{name}")
    raise AttributeError(f"wmlearn has no {name!r}; it offers {', '.join(sorted(__all__))}.")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])


class _CallableModule(ModuleType):
    """A module that forwards calls to the function of its own name: ``wm.play(world)``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    @property
    def __wrapped__(self) -> Any:  # lets help(), inspect and Jupyter's `?` show the function
        return getattr(self, self.__name__.rpartition(".")[2])


class _Package(ModuleType):
    """Makes ``wmlearn.play`` and ``wmlearn.evaluate`` callable, however they were imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLABLE and isinstance(value, ModuleType):
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
