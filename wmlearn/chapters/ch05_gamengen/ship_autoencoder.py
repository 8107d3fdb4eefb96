"""Trains the autoencoder of the shipped checkpoint; stopped, it goes on where it was.

    python -m wmlearn.chapters.ch05_gamengen.ship_autoencoder runs/ship runs/defend/agent

``--minutes`` are minutes of the processor. The learning rate falls to zero along a cosine.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn.data.episodes import EpisodeStore
from wmlearn.nn.autoencoder import (
    AutoencoderConfig,
    KLAutoencoder,
    color_bins,
    rare_color_weights,
    reconstruction_errors,
)

CONFIG = AutoencoderConfig(
    latent_channels=8, channels=(80,), layers_per_block=1, groups=8, patch_size=4
)
KL_WEIGHT = 1e-4  # per latent number
BATCH, CANDIDATES, RATE = 12, 120, 1e-3


def all_frames(paths: list[Path], holdout: float = 0.1) -> np.ndarray:
    """uint8 ``[N, 3, H, W]``, the frames of every dataset's training episodes."""
    stores = [EpisodeStore(path) for path in paths]
    return np.concatenate(
        [s[i].frames for s in stores for i in range(len(s) - round(holdout * len(s)))]
    )


def to_float(frames: Tensor) -> Tensor:
    return frames.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--holdout", type=float, default=0.1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "autoencoder.pt"
    frames = all_frames(args.data, args.holdout)
    torch.manual_seed(0)
    model = KLAutoencoder(CONFIG).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.95), weight_decay=1e-3)
    step, spent = 0, 0.0
    if file.exists():
        state = torch.load(file, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent, weights = state["step"], state["spent"], state["weights"]
    else:
        weights = rare_color_weights(torch.from_numpy(frames[:: max(1, len(frames) // 4000)]))
    print(f"{len(frames)} frames, {sum(p.numel() for p in model.parameters())} parameters")
    rng = np.random.default_rng([1, step])
    error = np.full(len(frames), 1.0, np.float32)  # of each frame when it was last seen
    begin, saved, history = time.process_time() - spent, time.monotonic(), []
    size = frames.shape[-1] // CONFIG.factor
    while (share := (time.process_time() - begin) / (60 * args.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * share))
        drawn = rng.integers(0, len(frames), CANDIDATES)
        half = BATCH // 2
        hardest = drawn[half:][np.argsort(-error[drawn[half:]])[: BATCH - half]]
        chosen = np.concatenate([drawn[:half], hardest])
        pictures = torch.from_numpy(frames[chosen])
        weight, x = weights[color_bins(pictures)][:, None], to_float(pictures)
        noise = torch.randn(BATCH, CONFIG.latent_channels, size, size)
        with torch.autocast("cpu", torch.bfloat16):
            y, latents = model(x, noise)
        errors = reconstruction_errors(y.float(), x, weight)
        loss = errors.mean() + KL_WEIGHT * latents.kl().mean() / noise[0].numel()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        error[chosen] = errors.detach().numpy()
        error *= 1.0005
        step += 1
        mse = (y.float() - x).square().mean((1, 2, 3))[:half].mean().item()
        history.append(mse)
        if step % 50 == 0:
            sigma = (0.5 * latents.logvar).exp().mean().item()
            psnr = 10 * math.log10(4 / np.mean(history[-50:]))
            print(
                f"{step} {(time.process_time() - begin) / 60:.1f} min, loss {loss.item():.4f}, "
                f"{psnr:.2f} dB, std {latents.mean.std().item():.2f}, sigma {sigma:.3f}",
                flush=True,
            )
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            save(file, model, optimizer, step, time.process_time() - begin, weights)
    save(file, model, optimizer, step, time.process_time() - begin, weights)


def save(file: Path, model, optimizer, step: int, spent: float, weights: Tensor) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "spent": spent,
        "weights": weights,
    }
    torch.save(state, file.with_suffix(".partial"))
    os.replace(file.with_suffix(".partial"), file)


if __name__ == "__main__":
    main()
