"""List environments to record, systems to train and checkpoints to load.

It reads names only: neither a simulator nor torch is imported for a list.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from wmlearn.files import assets_dir, list_checkpoints, list_clip_sets

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
    arm = [name for name in names if name.startswith("metaworld/")]
    yield from ((name, "") for name in names if name not in atari + arm)
    if atari:
        yield "atari/<game>", f"{len(atari)} games: {', '.join(n[6:] for n in atari[:4])}, ..."
    if arm:
        yield "metaworld/<task>", f"{len(arm)} tasks of a robot arm: door-open, push, ..."
        yield "metaworld/pairs", "16 of them, each with its reversal, for chapter 11"
    yield from ((name, "a shipped clip set, no simulator needed") for name in list_clip_sets())
    yield "<Gymnasium id>", "any that renders pixels, e.g. CarRacing-v3"
    yield "<file>.mp4", "a video, without actions"


def systems() -> Iterator[tuple[str, str]]:
    """Name and title of everything that ``wmlearn fit`` trains."""
    from wmlearn.systems import TRAINABLE

    yield from ((name, entry.title) for name, entry in TRAINABLE.items())


def checkpoints() -> Iterator[tuple[str, str]]:
    """Name, system and size of every checkpoint that ``wmlearn.load`` finds."""
    for name in list_checkpoints():
        folder = assets_dir() / "checkpoints" / name
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        megabytes = (folder / "model.safetensors").stat().st_size / 1e6
        yield name, f"{card['system']}, {megabytes:.1f} MB"
