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
from safetensors.torch import load_file, save_file

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.driving import PROBE, DrivingProbe
from wmlearn.chapters.ch08_cosmos.measure import held_out
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.files import write_whole

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
    run: str | Path,
    store: EpisodeStore,
    folder: Path,
    starts: int = 3,
    metrics: dict | None = None,
    probe: DrivingProbe | None = None,
    note: str = "",
) -> Path:
    """Writes the checkpoint.

    Args:
        run: the trained system.
        store: where its beginnings come from.
        folder: where to.
        starts: how many beginnings.
        metrics: for the card.
        probe: comes along where given.
        note: for the card.

    Raises:
        ValueError: it is larger than a checkpoint of the course may be.
    """
    system = hub.load(run)
    card = {name: value for name, value in system.card.items() if name not in _OF_THE_FILE}
    card |= {"metrics": metrics or {}, **({"note": note} if note else {})}
    clip = beginnings(store, system.world().context_frames, starts)
    hub.save(folder, system, system.card["system"], card, clip, torch.float16)
    if probe is not None:
        _add_probe(folder, probe)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MOST:
        raise ValueError(f"{folder} has {size / 1e6:.1f} MB: ship fewer beginnings.")
    return folder


def _add_probe(folder: Path, probe: DrivingProbe) -> None:
    weights = {key: value.half().contiguous() for key, value in probe.state_dict().items()}
    write_whole(folder / PROBE, lambda path: save_file(weights, path))
    card = hub.read_card(folder)
    card["files"][PROBE] = hub.sha256(folder / PROBE)
    write_whole(folder / "card.json", json.dumps(card, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path("assets/checkpoints"))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--metrics", type=Path)
    parser.add_argument("--probe", type=Path, help="weights of a probe, to come along")
    parser.add_argument("--note", default="", help="for the card")
    args = parser.parse_args()
    metrics = json.loads(args.metrics.read_text()) if args.metrics else None
    probe = None
    if args.probe:
        probe = DrivingProbe()
        probe.load_state_dict({k: value.float() for k, value in load_file(args.probe).items()})
    store = EpisodeStore(args.data)
    ship(args.run, store, args.out / args.name, args.starts, metrics, probe, args.note)


if __name__ == "__main__":
    main()
