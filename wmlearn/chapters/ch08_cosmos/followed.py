"""How far dreams stray from real drives, read without learning; and with dead reckoning.

    python -m wmlearn.chapters.ch08_cosmos.followed cosmos-driving data/cars --out followed.json

Trains the motion model (or takes the checkpoint's), makes the eight drivers' real drives, dreams
them again with and without it, and ranks the drivers in the guided dream.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.driving import POLICIES, Drives, drive_really, load_probe, rank
from wmlearn.chapters.ch08_cosmos.guided import (
    MOTION,
    GuidedWorld,
    follow,
    load_motion,
    train_motion,
)
from wmlearn.chapters.ch08_cosmos.measure import held_out, plain
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.files import write_whole

FRAMES = 52  # the first multiple of a chunk that holds two seconds


def episodes(store: EpisodeStore, length: int = 489) -> tuple[Tensor, Tensor]:
    """States ``[N, T, STATE]`` and actions ``[N, T - 1, 3]`` of the training episodes."""
    test = set(held_out(store))
    rows = [(i, 0) for i, n in enumerate(store.lengths.tolist()) if i not in test and n >= length]
    parts = [store.clip([row], length) for row in rows]
    return torch.cat([p.state for p in parts]), torch.cat([p.actions.float() for p in parts])


def joined(drives: list[Drives], frames: int) -> Drives:
    """Drives of equal length as one, cut to so many frames."""
    parts = [d.first(frames) for d in drives]
    cat = {key: torch.cat([getattr(p, key) for p in parts])
           for key in ("frames", "actions", "state", "rewards")}  # fmt: skip
    starts = [p.start for p in parts]
    start = Clip(
        torch.cat([s.frames for s in starts]),
        torch.cat([s.actions for s in starts]),
        state=torch.cat([s.state for s in starts]),
    )
    return Drives(start, **cat)


def by_driver(followed: dict, names: list[str]) -> None:
    """Puts means of each driver in the place of each drive's error, as ``joined`` joined them."""
    for path in followed.values():
        for its in path.values():
            if isinstance(its, dict) and "each" in its:
                means = torch.tensor(its.pop("each")).view(len(names), -1).mean(1).tolist()
                its["by driver"] = dict(zip(names, means, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("world", help="checkpoint; its probe is used, too")
    parser.add_argument(
        "data", type=Path, help="episodes with states; the last twelfth is left out"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=Path, help="folder for a new motion model's weights")
    parser.add_argument("--steps", type=int, default=4000, help="of its training")
    parser.add_argument("--seeds", type=int, default=5, help="drives of each policy")
    parser.add_argument("--chunks", type=int, default=19, help="that a policy drives")
    args = parser.parse_args()
    torch.set_num_threads(1)
    world, probe = hub.load_world(args.world), load_probe(args.world)
    if args.train:
        model = train_motion(*episodes(EpisodeStore(args.data)), steps=args.steps)
        write_whole(args.train / MOTION, lambda to: save_file(model.state_dict(), to))
    else:
        model = load_motion(args.world)
    say = functools.partial(print, flush=True)
    seeds = list(range(900, 900 + args.seeds))
    real = {n: drive_really(p, probe, seeds, world, args.chunks) for n, p in POLICIES.items()}
    found = {"followed": follow(joined(list(real.values()), FRAMES), world, model, probe)}
    by_driver(found["followed"], list(POLICIES))
    write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")
    loop, _ = rank(POLICIES, probe, GuidedWorld(world, model), seeds, args.chunks, say, real)
    found["guided loop"] = {
        "metres": {name: {"dream": d, "real": r} for name, (d, r) in loop.means().items()},
        "spearman": loop.spearman(),
        "pearson": loop.pearson(),
        "bias": loop.bias(),
    }
    write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
