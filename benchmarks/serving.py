"""How many frames a second the data module serves: processor time, one process, one thread.

    python benchmarks/serving.py

A training step at the laptop tier takes 100 to 300 frames a second.
"""

from __future__ import annotations

import statistics
import tempfile
import time

import numpy as np
from gymnasium.spaces import Discrete

from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import Episode, EpisodeWriter

BATCH, LENGTH, BATCHES = 32, 8, 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer, rng = EpisodeWriter(folder, Discrete(4), (3, 64, 64)), np.random.default_rng(0)
        for _ in range(20):
            ends = np.zeros(50, bool)
            frames = rng.integers(0, 256, (51, 3, 64, 64), dtype=np.uint8)
            rewards = np.zeros(50, np.float32)
            writer.write(Episode(frames, rng.integers(0, 4, 50), rewards, ends, ends))
        loader, rates = iter(ClipDataModule(folder, BATCH, LENGTH).train_dataloader()), []
        next(loader)
        for _ in range(9):
            start = time.process_time()
            for _ in range(BATCHES):
                next(loader)
            rates.append(BATCHES * BATCH * LENGTH / (time.process_time() - start))
    print(f"64 x 64 RGB, batch {BATCH} x {LENGTH}: {statistics.median(rates):,.0f} frames/s")


if __name__ == "__main__":
    main()
