"""What is at hand: environments to record, systems to train, checkpoints to play."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

KINDS = ("environments", "systems", "checkpoints")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=KINDS, help="only these; default all three")


def run(args: argparse.Namespace) -> None:
    for kind in [args.kind] if args.kind else KINDS:
        rows = {"environments": environments, "systems": systems, "checkpoints": checkpoints}[
            kind
        ]()
        print(f"{kind}:")
        found = False
        for name, text in rows:
            print(f"  {name:<24} {text}".rstrip())
            found = True
        if not found:
            print("  none")


def environments() -> Iterator[tuple[str, str]]:
    """Name and remark of what ``wmlearn record`` takes."""
    from wmlearn.envs import list_envs

    names = list_envs()
    atari = [name for name in names if name.startswith("atari/")]
    yield from ((name, "") for name in names if name not in atari)
    if atari:
        yield "atari/<game>", f"{len(atari)} games: {', '.join(n[6:] for n in atari[:4])}, ..."
    yield "<Gymnasium id>", "any that renders pixels, e.g. CarRacing-v3"
    yield "<file>.mp4", "a video, without actions"


def systems() -> Iterator[tuple[str, str]]:
    """Name of everything that ``wmlearn fit`` trains, and what its recipe says first."""
    from wmlearn.train.fit import RECIPES

    for name, module in RECIPES.items():
        yield name, (import_module(module).__doc__ or "").strip().partition("\n")[0]


def checkpoints() -> Iterator[tuple[str, str]]:
    """Name, system and size of every checkpoint that ``wmlearn.load`` finds."""
    from wmlearn.hub import find, list_checkpoints, read_card

    for name in list_checkpoints():
        megabytes = (find(name) / "model.safetensors").stat().st_size / 1e6
        yield name, f"{read_card(name)['system']}, {megabytes:.1f} MB"
