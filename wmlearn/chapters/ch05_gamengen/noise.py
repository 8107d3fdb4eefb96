"""Small denoisers with and without noise on the past, all else alike: section 4.1's table.

    python -m wmlearn.chapters.ch05_gamengen.noise gamengen-doom runs/defend/agent OUT.json

All stand on the shipped autoencoder; each frame is encoded once. Own dreams in training, which the
shipped world has, are left out, as they cure the same ill.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.judge import gradient
from wmlearn.chapters.ch05_gamengen.measure import draw_clips
from wmlearn.chapters.ch05_gamengen.ship_denoiser import Latents, Windows, encode_all, fit
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.rollout import rollout_batches
from wmlearn.metrics import psnr
from wmlearn.systems.gamengen.recipe import LAPTOP
from wmlearn.systems.gamengen.system import GameNGen

HORIZONS = (1, 8, 16, 32, 64)


def small(shipped: GameNGen, context_noise: float, seed: int) -> GameNGen:
    """The laptop's denoiser, untrained, on the shipped autoencoder."""
    config = replace(
        LAPTOP,
        image_size=shipped.config.image_size,
        autoencoder=shipped.config.autoencoder,
        denoiser=replace(
            LAPTOP.denoiser,
            num_actions=shipped.config.denoiser.num_actions,
            context_noise=context_noise,
        ),
        reward_end=shipped.config.reward_end,
        seed=seed,
    )
    torch.manual_seed(seed)
    system = GameNGen(config)
    parts = "autoencoder.", "latent_mean", "latent_std", "color_weights"
    weights = {k: v for k, v in shipped.state_dict().items() if k.startswith(parts)}
    system.load_state_dict(system.state_dict() | weights)
    return system


def train(system: GameNGen, data: Latents, seed: int, steps: int, batch: int) -> GameNGen:
    """Trains the denoiser on windows of real latents; returns the averaged weights."""
    draw = torch.Generator().manual_seed(seed)
    windows = Windows(data, system.config.denoiser.context_frames, generator=draw)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.pt"
        return fit(system, windows, file, 1e9, batch, 0, 2e-3, ema=0.99, max_steps=steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.2, help="of the training episodes")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=24)
    args = parser.parse_args()
    torch.set_num_threads(1)
    shipped, store = hub.load(args.checkpoint), EpisodeStore(args.data)
    data = encode_all(shipped, [args.data], args.share)
    longest = max(HORIZONS)
    clip, _ = draw_clips(store, LAPTOP.denoiser.context_frames + longest, args.clips)
    real = clip.frames[:, -longest:]
    last = clip.frames[:, -longest - 1 : -longest]
    at = [h - 1 for h in HORIZONS]
    copy = psnr(last.expand_as(real), real).mean(0)[at]
    found = {
        "frames": len(data.latents), "steps": args.steps, "batch": args.batch, "clips": args.clips,
        "context": LAPTOP.denoiser.context_frames, "horizons": HORIZONS,
        "copy": [round(x, 2) for x in copy.tolist()], "runs": [],
    }  # fmt: skip
    for seed in range(args.seeds):
        for level in (LAPTOP.denoiser.context_noise, 0.0):
            begin = time.process_time()
            system = train(small(shipped, level, seed), data, seed, args.steps, args.batch)
            seconds = time.process_time() - begin
            dream = rollout_batches(system.world(), clip, seed)
            run = {
                "noise": level, "seed": seed, "seconds": round(seconds),
                "psnr": [round(x, 2) for x in psnr(dream, real).mean(0)[at].tolist()],
                "sharpness": [
                    round(x, 3)
                    for x in (gradient(dream).mean(0) / gradient(real).mean())[at].tolist()
                ],
            }  # fmt: skip
            found["runs"].append(run)
            print(run, flush=True)
            args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
