"""A judge measures what only one kind of system has, and adds it to the card.

It lives in that system's chapter, and the registry's entry names it, so that this folder knows no
system. Its options are its own fields: a judge is a frozen dataclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from jsonargparse import ArgumentParser
from torch import nn

from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.card import Controllability, Fidelity, Section, Utility
from wmlearn.evaluation.cost import Cost
from wmlearn.world import World


@dataclass(frozen=True)
class Case:
    """What is to be judged.

    Attributes:
        system: the trained module; ``None`` for a world that has none behind it.
        world: its world; ``None`` for a system without a world.
        store: the episodes.
        train, held_out: numbers of the training and of the held-out episodes.
        clips: how many at most for each figure.
        seeds: of what is drawn at random.
        cost: whether speeds and sizes are wanted.
        training_minutes: as the checkpoint's card says.
        say: called with a line of text before each part.
    """

    system: nn.Module | None
    world: World | None
    store: EpisodeStore
    train: list[int]
    held_out: list[int]
    clips: int
    seeds: tuple[int, ...]
    cost: bool
    training_minutes: float | None
    say: Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What a judge found: sections, and fixed parts of the card that only it can measure."""

    sections: tuple[Section, ...] = ()
    fidelity: Fidelity | None = None
    controllability: Controllability | None = None
    utility: Utility | None = None
    cost: Cost | None = None


@dataclass(frozen=True)
class Judge(ABC):
    """Base of all judges; subclasses are frozen dataclasses whose fields are their options."""

    @abstractmethod
    def __call__(self, case: Case) -> Verdict:
        """Measures, and returns what it found."""


def call_judge(kind: type[Judge] | None, options: Mapping[str, Any] | None = None) -> Judge | None:
    """The judge of a system with these options, each checked against the field's type.

    Args:
        kind: the judge's class; ``None`` where the system has none.
        options: values, or their text from a command line.

    Raises:
        ValueError: there is no such option, or it has another type.
    """
    options = dict(options or {})
    known = [] if kind is None else [field.name for field in fields(kind)]
    if unknown := sorted(set(options) - set(known)):
        has = ", ".join(known) or "no options"
        raise ValueError(f"The judge of this system has no option {unknown[0]!r}; it has {has}.")
    if kind is None:
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--judge", type=kind, default=kind())
    words = [f"--judge.{name}={value}" for name, value in options.items()]
    try:
        return parser.instantiate(parser.parse_args(words)).judge
    except Exception as error:  # jsonargparse raises its own kinds for each way to be wrong
        raise ValueError(f"The judge of this system does not take this option: {error}") from None
