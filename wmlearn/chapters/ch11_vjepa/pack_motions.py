"""Packs recorded motions into the clip set that ships with the course.

    wmlearn record metaworld/pairs --out data/metaworld --frames 40960
    python -m wmlearn.chapters.ch11_vjepa.pack_motions data/metaworld assets/clips/metaworld

Three quarters of the clips come from the episodes that pre-training may see, the rest from those
that are held out (the last quarter), so a model of the one can be tested on the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wmlearn.data.episodes import EpisodeStore
from wmlearn.data.motions import CLASSES, FRAMES
from wmlearn.data.shipped import pack_clips

LENGTH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=60, help="clips of each class")
    parser.add_argument("--quality", type=int, default=45, help="of WebP, 1 to 100")
    args = parser.parse_args()
    store = EpisodeStore(args.data)
    rounds = len(store) // len(CLASSES)
    held_out = rounds // 4
    test = args.each // 4
    chosen = [*range(args.each - test), *range(rounds - held_out, rounds - held_out + test)]
    start = (FRAMES - LENGTH) // 2
    places = [(k * len(CLASSES) + c, start) for k in chosen for c in range(len(CLASSES))]
    about = {
        "shows": "A Sawyer arm doing 16 tasks of Meta-World, 8 pairs that undo each other.",
        "licence": "MIT",
        "attribution": "Rendered from Meta-World 3 (github.com/Farama-Foundation/Metaworld, MIT; "
        "Yu, Quillen, He and others 2019, arxiv.org/abs/1910.10897) with MuJoCo (Apache 2.0), "
        "played by its scripted policies with noise.",
    }
    keep = ("classes", "policy", "seed", "frame_skip")
    pack_clips(store, places, LENGTH, args.out, about, keep, args.quality)
    size = sum(path.stat().st_size for path in args.out.iterdir()) / 1e6
    print(f"{args.out}: {len(places)} clips, {size:.2f} MB")


if __name__ == "__main__":
    main()
