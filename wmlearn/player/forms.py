"""What else than keys an action can be in a player: a sentence, or a motion.

A world says it by its action space: one with ``number(sentence)`` takes sentences, and the player
shows a field for them; a ``Box`` takes motions, and the player shows a slider for each number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gymnasium.spaces import Box, Discrete, Space

if TYPE_CHECKING:
    from wmlearn.player.session import PlaySession


def axes_of(space: Space) -> int:
    """How many numbers an action has; 0 where it is one of a few.

    Raises:
        ValueError: it is neither ``Discrete`` nor a ``Box`` with one axis.
    """
    if isinstance(space, Discrete):
        return 0
    if isinstance(space, Box) and len(space.shape) == 1:
        return int(space.shape[0])
    raise ValueError(
        f"The player needs Discrete actions or a vector (this world's are {space}): choose a world "
        "of another system."
    )


def same_actions(world: Space, env: Space) -> bool:
    """Whether a world and an environment can be given the same actions."""
    if isinstance(world, Discrete):
        return isinstance(env, Discrete) and env.n == world.n
    return isinstance(env, Box) and env.shape == world.shape


def form_of(space: Space) -> dict[str, Any]:
    """What the page shows: ``kind`` is "keys", "say" (with ``sentences``) or "move" (``axes``)."""
    if isinstance(space, Box):
        return {"kind": "move", "axes": axes_of(space)}
    if callable(getattr(space, "number", None)):
        return {"kind": "say", "sentences": list(space.names)}
    return {"kind": "keys"}


def buttons(session: PlaySession) -> list[dict[str, Any]]:
    """A name, key and number for each button; where one can speak, only for what has a key."""
    labels = session.keymap.labels(session.names)
    if form_of(session.world.action_space)["kind"] == "say":
        return [label for label in labels if label["key"]]
    return labels


def spoken_keys(names: Sequence[str]) -> dict[str, int]:
    """Keys for those sentences alone that have a natural one (an arrow)."""
    from wmlearn.envs.keys import keys_for

    return {key: action for key, action in keys_for(names).items() if len(key) > 1}


def within(motion: Sequence[float], space: Space) -> list[float]:
    """A motion inside the space's bounds; empty where its numbers are too few or too many."""
    if not isinstance(space, Box) or len(motion) != axes_of(space):
        return []
    bounds = zip(motion, space.low.tolist(), space.high.tolist(), strict=True)
    return [min(high, max(low, float(value))) for value, low, high in bounds]
