"""Puts a shipped checkpoint together: weights in halves, real beginnings, and what was measured.

    python -m wmlearn.chapters.ch08_cosmos.ship runs/cosmos data/cars --name cosmos-driving \\
        --metrics runs/cosmos/metrics.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.measure import held_out
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore

MOST = 12_000_000  # bytes of a checkpoint's folder
_OF_THE_FILE = ("format", "version", "system", "config", "sha256", "files")


def beginnings(store: EpisodeStore, frames: int, count: int, seed: int = 3) -> Clip:
    """Real clips of held-out episodes, one of each."""
    rng, numbers = np.random.default_rng(seed), held_out(store)
    chosen = rng.choice(numbers, min(count, len(numbers)), replace=False)
    return store.clip(
        [(int(i), int(rng.integers(store.lengths[i] - frames))) for i in chosen], frames
    )


def ship(
    run: str | Path, store: EpisodeStore, folder: Path, starts: int = 3, metrics: dict | None = None
) -> Path:
    """Writes the checkpoint.

    Raises:
        ValueError: it is larger than a checkpoint of the course may be.
    """
    system = hub.load(run)
    card = {name: value for name, value in system.card.items() if name not in _OF_THE_FILE}
    card["metrics"] = metrics or {}
    clip = beginnings(store, system.world().context_frames, starts)
    hub.save(folder, system, system.card["system"], card, clip, torch.float16)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MOST:
        raise ValueError(f"{folder} has {size / 1e6:.1f} MB: ship fewer beginnings.")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path("assets/checkpoints"))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--metrics", type=Path)
    args = parser.parse_args()
    metrics = json.loads(args.metrics.read_text()) if args.metrics else None
    ship(args.run, EpisodeStore(args.data), args.out / args.name, args.starts, metrics)


if __name__ == "__main__":
    main()
