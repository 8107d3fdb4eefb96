"""From the keys that are pressed in a browser to one action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium


def normal_key(key: str) -> str:
    """The name of a key as the browser sends it: ``"Space"`` for a blank, letters in lower case."""
    if key == " ":
        return "Space"
    return key.lower() if len(key) == 1 else key


class KeyMap:
    """Turns the set of pressed keys into one action.

    Args:
        keys: browser key -> action index, e.g. ``{"ArrowLeft": 1, "ArrowUp+Space": 7}``: a plus
            joins keys that are pressed together.
        noop: the action while nothing is pressed; None where no action does nothing.
    """

    def __init__(self, keys: Mapping[str, int], noop: int | None = None) -> None:
        self.noop = noop
        self.chords = {
            tuple(normal_key(part) for part in (key.split("+") if len(key) > 1 else [key])): index
            for key, index in keys.items()
        }

    @property
    def used(self) -> list[str]:
        """Every key that plays a part."""
        return sorted({key for chord in self.chords for key in chord})

    def action(self, pressed: Iterable[str]) -> int | None:
        """The action of the longest matching chord; among equals the key pressed last wins.

        None where nothing matches and there is no no-op: then the game waits.

        ``pressed`` is in the order of pressing; ``"action:3"`` is an on-screen button.
        """
        pressed = list(pressed)
        for key in reversed(pressed):
            if key.startswith("action:"):
                return int(key.removeprefix("action:"))
        matches = [chord for chord in self.chords if set(chord) <= set(pressed)]
        if not matches:
            return self.noop
        best = max(matches, key=lambda chord: (len(chord), max(map(pressed.index, chord))))
        return self.chords[best]

    def labels(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """``{"name", "key", "index"}`` of every action, for the on-screen buttons."""
        first: dict[int, str] = {}
        for chord, index in self.chords.items():
            first.setdefault(index, " + ".join(chord))
        return [
            {"name": name, "key": first.get(index, ""), "index": index}
            for index, name in enumerate(names)
        ]


def controls(
    num_actions: int,
    env: gymnasium.Env | None,
    keys: Mapping[str, int] | None = None,
    names: Sequence[str] | None = None,
    noop: int | None = None,
) -> tuple[list[str], KeyMap]:
    """One name per action and the key map, from what is given and what the environment tells.

    The no-op is ``noop``, else what the environment declares (``env.unwrapped.noop``), else the
    action with such a name (``noop``, ``idle``, ``nothing``, ...), else there is none.

    Raises:
        ValueError: names, keys or no-op do not fit the number of actions.
    """
    from wmlearn.envs.keys import keys_for, noop_of

    if names is None and env is not None:
        names = getattr(env.unwrapped, "action_names", None)
    if noop is None and env is not None:
        noop = getattr(env.unwrapped, "noop", None)
    if noop is None:
        noop = noop_of(names)
    if noop is not None and not 0 <= noop < num_actions:
        raise ValueError(f"noop must be an action, 0 to {num_actions - 1}; got {noop}.")
    if keys is None and names is not None:
        keys = {key: index for key, index in keys_for(list(names)).items() if index != noop}
    elif keys is None:
        others = [action for action in range(num_actions) if action != noop]
        keys = dict(zip("123456789abcdefghijklmnopqrstuvwxyz", others, strict=False))
    if names is None:
        names = ["noop" if index == noop else f"action {index}" for index in range(num_actions)]
    if len(names) != num_actions or not all(0 <= index < num_actions for index in keys.values()):
        raise ValueError(
            f"The world has {num_actions} actions, and keys and names must fit: there are "
            f"{len(names)} names, and keys for the actions {sorted(set(keys.values()))}."
        )
    return list(names), KeyMap(keys, noop)
