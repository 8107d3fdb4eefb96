"""Which key of a browser's keyboard plays which action."""

from __future__ import annotations

from gymnasium.spaces import Discrete

_WORDS = {
    "left": "ArrowLeft",
    "turn_left": "ArrowLeft",
    "right": "ArrowRight",
    "turn_right": "ArrowRight",
    "up": "ArrowUp",
    "forward": "ArrowUp",
    "down": "ArrowDown",
    "attack": " ",
    "fire": " ",
}
"""Action name -> ``KeyboardEvent.key``."""


def env_keys(env_id: str) -> dict[str, int]:
    """Key -> action for the player, e.g. ``{"ArrowLeft": 1, "ArrowRight": 2, " ": 3}``.

    Keys are the browser's ``KeyboardEvent.key`` names. Actions without a natural key get the
    digits and letters ``1``..``9``, ``a``..; the no-op (no key pressed) gets none.

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


def keys_for(action_names: list[str]) -> dict[str, int]:
    """Key -> action for a list of action names (see ``env_keys``)."""
    keys: dict[str, int] = {}
    spare = iter("123456789abcdefghijklmnopqrstuvwxyz")
    for action, name in enumerate(action_names):
        if name == "noop":
            continue
        key = _WORDS.get(name)
        if key is None or key in keys:
            key = next(spare)
        keys[key] = action
    return keys
