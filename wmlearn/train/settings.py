"""What a run was asked for: words of a command line, YAML or Python values, over a tier's numbers.

A flag is spelled as its field: ``--max_steps 10``, ``fit("diamond", max_steps=10)``, and in YAML
``max_steps: 10``; a field of the system's own config likewise, after ``system.``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.recipes.tiers import current_tier, get_tier
from wmlearn.spelling import unknown_option
from wmlearn.systems import TRAINABLE


@dataclass(frozen=True)
class Settings:
    """One run, before its data are there.

    Attributes:
        name: of the system, a key of ``TRAINABLE``.
        recipe: how it is trained.
        run: the numbers that every system has.
        config: the system's own.
        given: the fields of ``run`` that were asked for; the others are the tier's.
    """

    name: str
    recipe: Recipe
    run: RunConfig
    config: Any
    given: frozenset[str]


def from_words(name: str, argv: Sequence[str]) -> Settings:
    """The settings of ``wmlearn fit NAME ARGV``; ``ValueError`` for what is misspelled."""

    def parse(parser: ArgumentParser, **how: Any) -> Namespace:
        try:
            return parser.parse_args(list(argv), **how)
        except ArgumentError as error:
            options = parser._option_string_actions if "unrecognized" in str(error) else ()
            raise ValueError(unknown_option(argv, options) or str(error)) from error

    return _read(name, parse)


def from_values(name: str, options: dict[str, Any]) -> Settings:
    """The settings of ``fit(name, **options)``; ``ValueError`` for what is misspelled.

    Args:
        name: of the system.
        options: fields of ``RunConfig``; ``system``, a whole config; ``"system.FIELD"``, a part.
    """
    tree: dict[str, Any] = {}
    for path, value in options.items():
        *folders, last = path.split(".")
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
        here[last] = _value(value)
    try:
        return _read(name, lambda parser, **how: parser.parse_object(tree, **how))
    except ArgumentError as error:
        raise ValueError(str(error)) from error


def plain(config: Any) -> Any:
    """A dataclass as JSON has it: tuples become lists, and 5.0 is 5."""
    return _whole_numbers(json.loads(json.dumps(asdict(config))))


def _read(name: str, parse: Any) -> Settings:
    """Parses twice: for what is given, the tier among it; then over that tier's numbers."""
    if name not in TRAINABLE:
        raise ValueError(f"There is no system '{name}'; choose one of: {', '.join(TRAINABLE)}.")
    recipe: Recipe = TRAINABLE[name].load("recipe")
    tier = current_tier()
    parser = _parser(name, recipe, tier.name)
    given: Namespace = parse(parser, defaults=False)
    tier = get_tier(given.get("tier", tier.name))
    parser = _parser(name, recipe, tier.name)
    built = parser.instantiate(parse(parser))
    names = asdict(RunConfig()).keys()
    run = RunConfig(**{field: built[field] for field in names})
    return Settings(name, recipe, run, built.system, frozenset(names & vars(given).keys()))


def _parser(name: str, recipe: Recipe, tier: str) -> ArgumentParser:
    run, config = recipe.preset(tier)
    parser = ArgumentParser(
        prog=f"wmlearn fit {name}", description=type(recipe).__doc__, exit_on_error=False
    )
    parser.add_argument("--config", action="config", help="read options from this YAML file")
    parser.add_class_arguments(RunConfig, None, as_group=False)
    parser.add_argument("--system", type=type(config))
    parser.set_defaults({**asdict(run), "system": json.loads(json.dumps(asdict(config)))})
    return parser


def _value(value: Any) -> Any:
    if is_dataclass(value):
        return asdict(value)
    return str(value) if isinstance(value, Path) else value


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
