"""Which key of a browser's keyboard plays which action."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gymnasium.spaces import Discrete

_KEYS = {
    "left": "ArrowLeft",
    "turn_left": "ArrowLeft",
    "turn left": "ArrowLeft",
    "right": "ArrowRight",
    "turn_right": "ArrowRight",
    "turn right": "ArrowRight",
    "up": "ArrowUp",
    "forward": "ArrowUp",
    "go forward": "ArrowUp",
    "down": "ArrowDown",
    "attack": " ",
    "fire": " ",
}
"""Action name -> ``KeyboardEvent.key``."""

_NOOP = {"noop", "no_op", "nop", "none", "nothing", "idle", "stay", "still", "wait"}

_ATARI = re.compile(r"(up|down)?(left|right)?(fire)?")  # "upleftfire" and the like


def env_keys(env_id: str) -> dict[str, int]:
    """Key -> action for the player, e.g. ``{"ArrowLeft": 1, "ArrowRight": 2, " ": 3}``.

    Keys are the browser's ``KeyboardEvent.key`` names; keys that are pressed together are joined
    with a plus (``ArrowUp+Space``). Actions without a natural key get the digits and letters
    ``1``..``9``, ``a``..``z``; the no-op (nothing pressed) gets none.

    Raises:
        ValueError: the actions are continuous.
    """
    from wmlearn.envs import make

    env = make(env_id)
    try:
        if not isinstance(env.action_space, Discrete):
            raise ValueError(f"{env_id} has continuous actions, which no key can press.")
        return keys_for(env.unwrapped.action_names)
    finally:
        env.close()


def noop_of(action_names: Sequence[str] | None) -> int | None:
    """The action that does nothing, found by its name; None where none has such a name."""
    for action, name in enumerate(action_names or ()):
        if name.lower().replace("-", "_").replace(" ", "_") in _NOOP:
            return action
    return None


def keys_for(action_names: Sequence[str]) -> dict[str, int]:
    """Key -> action for a list of action names (see ``env_keys``)."""
    keys: dict[str, int] = {}
    spare = iter("123456789abcdefghijklmnopqrstuvwxyz")
    noop = noop_of(action_names)
    for action, name in enumerate(action_names):
        if action == noop:
            continue
        key = _natural_key(name)
        if key is None or key in keys:
            key = next(spare, None)
        if key is not None:
            keys[key] = action
    return keys


def _natural_key(name: str) -> str | None:
    if name in _KEYS:
        return _KEYS[name]
    if chord := _ATARI.fullmatch(name):
        parts = [_KEYS[part].replace(" ", "Space") for part in chord.groups() if part]
        return "+".join(parts) or None
    return None
