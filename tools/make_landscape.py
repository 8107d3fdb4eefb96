"""Makes the numbers of the book's energy landscape from the shipped V-JEPA 2-AC.

    python tools/make_landscape.py

Two frames of a shipped recording: how far would the model be from the second one if the arm had
been moved otherwise along x and y? Writes ``assets/figures/vjepa2-ac-landscape.json``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

import wmlearn as wm
from wmlearn.evaluation.features import landscape

CHECKPOINT, POINTS, AXES = "vjepa2-ac-fetch", 25, (0, 1)
OUT = Path(__file__).resolve().parents[1] / "assets/figures/vjepa2-ac-landscape.json"


def main() -> None:
    torch.set_num_threads(1)
    world = wm.load_world(CHECKPOINT)
    with tempfile.TemporaryDirectory() as folder:
        store = wm.record("clips/fetch", folder, progress=False)
        # the first step of the last episode in which the arm was moved by about half of its most
        episode = len(store) - 1
        clip = store.clip([(episode, 0)], int(store.lengths[episode]))
    moved = clip.actions[0, :, list(AXES)].abs().amax(-1)
    start = int(((moved > 0.3) & (moved < 0.7)).nonzero()[0])
    found = landscape(world, clip.time(start, start + 2), AXES, POINTS)
    numbers = dict(
        made_by="python tools/make_landscape.py",
        checkpoint=CHECKPOINT,
        episode=episode,
        step=start,
        grid=[round(x, 4) for x in found.grid.tolist()],
        energy=[[round(x, 4) for x in row] for row in found.energy.tolist()],
        true=[round(x, 4) for x in found.true.tolist()],
        true_energy=round(found.true_energy, 4),
        lowest=[round(x, 4) for x in found.lowest.tolist()],
    )
    OUT.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
    print(f"true {numbers['true']}, lowest {numbers['lowest']}, below {found.below:.0%}")


if __name__ == "__main__":
    main()
