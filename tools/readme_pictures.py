"""Makes the README's film and chapter 0's filmstrip from the shipped checkpoint.

    python tools/readme_pictures.py

Records new episodes (a seed that no training used), lets the world continue one of them under the
same actions, and writes ``real_and_dream.gif`` and ``real_and_dream.png`` to ``assets/figures``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

import wmlearn as wm
from wmlearn.evaluation import psnr, rollout
from wmlearn.viz import filmstrip, gif, side_by_side

CHECKPOINT, ENV, SEED, HORIZON = "diamond-doom-basic", "doom/basic", 20_261_123, 48
FIGURES = Path(__file__).resolve().parents[1] / "assets/figures"


def main() -> None:
    torch.set_num_threads(1)
    world = wm.load_world(CHECKPOINT)
    length = world.context_frames + HORIZON
    with tempfile.TemporaryDirectory() as folder:
        size = world.frame_shape[-1]
        store = wm.record(ENV, folder, frames=1500, policy="mixed", seed=SEED, size=size)
        # the first episode that is long enough: no choosing among dreams
        episode = next(i for i, frames in enumerate(store.lengths) if frames >= length)
        clip = store.clip([(episode, 0)], length)
    real = clip.frames[0, world.context_frames :]
    dream = rollout(world, clip, torch.Generator().manual_seed(0))[0]
    gif(side_by_side(real, dream), FIGURES / "real_and_dream.gif", fps=9)
    times = [round(1 + i * (HORIZON - 1) / 7) for i in range(8)]
    filmstrip(real, dream, times, difference=False).save(FIGURES / "real_and_dream.png")
    print(f"episode {episode} of seed {SEED}, PSNR {psnr(dream, real).mean():.1f} dB")


if __name__ == "__main__":
    main()
