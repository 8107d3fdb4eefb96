"""Makes the README's film and chapter 0's filmstrip from the shipped checkpoints.

    python tools/readme_pictures.py

Records new episodes (a seed that no training used), lets the world continue one of them under the
same actions, and writes ``real_and_dream.gif`` (the README's world) and ``start_here.png`` (chapter
0's) to ``assets/figures``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

import wmlearn as wm
from wmlearn.evaluation import psnr, rollout
from wmlearn.viz import filmstrip, gif, side_by_side

SEED = 20_261_123
FIGURES = Path(__file__).resolve().parents[1] / "assets/figures"


def real_and_dream(checkpoint: str, env: str, horizon: int) -> tuple[Tensor, Tensor]:
    """Frames uint8 ``[horizon, C, H, W]`` of an episode, and of the dream from its beginning."""
    world = wm.load_world(checkpoint)
    length = world.context_frames + horizon
    with tempfile.TemporaryDirectory() as folder:
        size = world.frame_shape[-1]
        store = wm.record(env, folder, frames=1500, policy="mixed", seed=SEED, size=size)
        # the first episode that is long enough: no choosing among dreams
        episode = next(i for i, frames in enumerate(store.lengths) if frames >= length)
        clip = store.clip([(episode, 0)], length)
    real = clip.frames[0, world.context_frames :]
    dream = rollout(world, clip, torch.Generator().manual_seed(0))[0]
    found = psnr(dream, real).mean()
    print(f"{checkpoint}: episode {episode} of seed {SEED}, PSNR {found:.1f} dB")
    return real, dream


def main() -> None:
    torch.set_num_threads(1)
    real, dream = real_and_dream("diamond-doom-basic", "doom/basic", 48)
    gif(side_by_side(real, dream), FIGURES / "real_and_dream.gif", fps=9)
    real, dream = real_and_dream("gamengen-doom", "doom/defend-the-center-hud", 120)
    times = [round(1 + i * (len(real) - 1) / 7) for i in range(8)]
    filmstrip(real, dream, times, difference=False).save(FIGURES / "start_here.png")


if __name__ == "__main__":
    main()
