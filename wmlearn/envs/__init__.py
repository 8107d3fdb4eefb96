"""Real environments: a registry and ``make``, which gives every game the same shape.

Whatever the game, an observation is uint8 ``[size, size, 3]`` (height, width, RGB),
``reset(seed=s)`` repeats the same episode for the same ``s`` and actions, and ``env.unwrapped`` has

* ``action_names``: one name per discrete action (``["noop", "left", "right", "attack"]``), else
  ``None``;
* ``env_id`` and ``frame_skip`` (game frames per step).

An environment that knows more than its picture shows has ``state_names``, and in the ``info`` of
``reset`` and ``step`` a ``state``, float32 with a number for each name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gymnasium

from wmlearn.envs.atari import AtariEnv, atari_games
from wmlearn.envs.babyai import BabyAIEnv
from wmlearn.envs.doom import SCENARIOS, DoomEnv
from wmlearn.envs.driving import CarRacingEnv
from wmlearn.envs.fetch import TASKS, FetchEnv
from wmlearn.envs.keys import env_keys
from wmlearn.envs.metaworld import MetaWorldEnv, metaworld_tasks
from wmlearn.envs.pixels import PixelEnv, resize
from wmlearn.envs.procgen import GAMES, ProcgenEnv

__all__ = [
    "AtariEnv",
    "BabyAIEnv",
    "CarRacingEnv",
    "DoomEnv",
    "FetchEnv",
    "MetaWorldEnv",
    "PixelEnv",
    "ProcgenEnv",
    "env_keys",
    "list_envs",
    "make",
    "registry",
    "resize",
]

registry: dict[str, Callable[..., gymnasium.Env]] = {
    f"doom/{name}": (lambda name=name, **kwargs: DoomEnv(name, **kwargs)) for name in SCENARIOS
}
registry["doom/defend-the-center-hud"] = partial(
    DoomEnv, "defend-the-center", frame_skip=2, hud=True
)
registry["doom/defend-the-center-hud-endless"] = partial(
    registry["doom/defend-the-center-hud"], endless=True
)
registry["babyai/go-to-local"] = BabyAIEnv
for _task in TASKS:
    registry[f"fetch/{_task}"] = partial(FetchEnv, _task)
for _game in GAMES:
    registry[f"procgen/{_game}"] = partial(ProcgenEnv, _game)
    registry[f"procgen/{_game}-hard"] = partial(ProcgenEnv, _game, mode="hard", backgrounds=True)
registry["driving/car-racing"] = CarRacingEnv
registry["driving/car-racing-keys"] = partial(CarRacingEnv, keys=True)
"""Environment id -> function that makes it. Add your own: ``registry["my/game"] = MyEnv``."""


def list_envs() -> list[str]:
    """The ids that are known by name: the registry, and every Atari game and Meta-World task that
    is installed.
    """
    atari = (f"atari/{game}" for game in atari_games())
    return [*registry, *atari, *(f"metaworld/{task}" for task in metaworld_tasks())]


def make(env_id: str, size: int = 64, **kwargs) -> gymnasium.Env:
    """A real environment with pixel observations uint8 ``[size, size, 3]``.

    Args:
        env_id: ``doom/basic``, ``doom/health-gathering``, ``doom/defend-the-center``,
            ``doom/defend-the-center-hud`` (also ``-endless``: nobody dies), ``atari/<game>``
            (``atari/breakout``), ``procgen/coinrun``, ``ninja``, ``jumper`` or ``climber`` (each
            also ``-hard``, with backgrounds), ``metaworld/<task>`` (``metaworld/door-open``),
            ``fetch/reach``, ``fetch/push``, ``driving/car-racing``, ``driving/car-racing-keys``,
            ``babyai/go-to-local``, or any Gymnasium id that renders pixels (``CartPole-v1``;
            ``my_module:MyGame-v0`` imports ``my_module`` first).
        size: height and width of the observation in pixels.
        **kwargs: passed to the environment, e.g. ``frame_skip``, ``labels`` (ViZDoom).

    Raises:
        ValueError: the id is unknown, or the environment renders no pixels.
        ModuleNotFoundError: the package that the environment needs is not installed.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel; got {size}.")
    if env_id in registry:
        return registry[env_id](size=size, **kwargs)
    if env_id.startswith(("babyai/", "doom/", "driving/", "fetch/", "procgen/")):
        raise ValueError(
            f"There is no environment {env_id!r}; choose one of {', '.join(registry)}."
        )
    if env_id.startswith("metaworld/"):
        return MetaWorldEnv(env_id.removeprefix("metaworld/"), size=size, **kwargs)
    if env_id.startswith("atari/"):
        return AtariEnv(env_id.removeprefix("atari/"), size=size, **kwargs)
    return PixelEnv(env_id, size=size, **kwargs)
