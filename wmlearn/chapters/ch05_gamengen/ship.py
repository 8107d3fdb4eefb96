"""Puts the shipped checkpoint together: tunes the decoder, saves weights in halves, and starts.

python -m wmlearn.chapters.ch05_gamengen.ship runs/ship runs/defend/agent --name gamengen-doom
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.measure import held_out
from wmlearn.chapters.ch05_gamengen.ship_autoencoder import all_frames
from wmlearn.chapters.ch05_gamengen.ship_denoiser import load_autoencoder
from wmlearn.data.episodes import EpisodeStore
from wmlearn.nn.autoencoder import reconstruction_errors
from wmlearn.pixels import to_float
from wmlearn.recipes.average import Average
from wmlearn.systems.gamengen.recipe import SHIPPED, reward_values
from wmlearn.systems.gamengen.system import GameNGen

TEXTURE = 1.5  # what it counts in the decoder's loss
NOISE = 0.25  # the most that latents get, as dreams are not exact


def texture_errors(drawn: Tensor, real: Tensor) -> Tensor:
    """Whether gradients are as large as they should be, wherever exactly they stand: [B].

    Squared and absolute errors are smallest where grain that cannot be known is left out; this one
    asks for as much of it as the real picture has, in each square of 4 x 4 pixels.
    """
    total = torch.zeros(len(drawn), device=drawn.device)
    for axis in (-1, -2):
        sizes = [
            F.avg_pool2d(x.diff(dim=axis).abs().mean(1, keepdim=True), 4) for x in (drawn, real)
        ]
        total = total + (sizes[0] - sizes[1]).abs().mean((1, 2, 3))
    return total


def tune_decoder(
    system: GameNGen, frames: np.ndarray, minutes: float, batch: int = 12, rate: float = 4e-4
) -> int:
    """Trains the decoder alone, on latents with a little noise; returns the number of steps."""
    parts = system.autoencoder.decoder, system.autoencoder.post_quant_conv
    parameters = [p for part in parts for p in part.parameters()]
    average = Average(parameters, 0.99)
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.95), weight_decay=1e-3)
    generator = torch.Generator().manual_seed(0)
    begin, step = time.process_time(), 0
    while (share := (time.process_time() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            fall = max(0.01, 0.5 * (1 + math.cos(math.pi * share)))
            group["lr"] = rate * min(1, (step + 1) / 50) * fall
        chosen = torch.randint(len(frames), (batch,), generator=generator)
        pictures = torch.from_numpy(frames[chosen.numpy()])
        real = to_float(pictures)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                z = system.encode(pictures).float()
            level = NOISE * torch.rand(batch, 1, 1, 1, generator=generator)
            drawn = system.decode(z + level * torch.randn(z.shape, generator=generator))
        weight = system.pixel_weights(pictures)
        errors = reconstruction_errors(drawn, real, weight, system.config.decoder_absolute)
        loss = (errors + TEXTURE * texture_errors(drawn, real)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        average.update(step)
        if step % 100 == 0:
            print(f"decoder {step}, loss {loss.item():.5f}", flush=True)
    average.use()
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="what ship_autoencoder and ship_denoiser wrote")
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--name", required=True, help="of the checkpoint, or a folder")
    parser.add_argument("--out", type=Path, default=Path("assets/checkpoints"))
    parser.add_argument("--decoder-minutes", type=float, default=3.0)
    parser.add_argument("--denoiser", default="denoiser", help="name of the denoiser's file")
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--note", default="", help="for the card")
    parser.add_argument("--metrics", type=Path, help="what measure.py wrote, for the card")
    parser.add_argument("--only-decoder", action="store_true", help="stop after the decoder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    store = EpisodeStore(args.data[0])
    config = replace(
        SHIPPED,
        denoiser=replace(SHIPPED.denoiser, num_actions=int(store.action_space.n)),
        reward_end=replace(SHIPPED.reward_end, reward_values=reward_values(store)),
    )
    system = load_autoencoder(config, args.run, args.data)
    tuned = args.run / "decoder.pt"
    if args.decoder_minutes and not tuned.exists():
        steps = tune_decoder(system, all_frames(args.data), args.decoder_minutes)
        torch.save((system.autoencoder.state_dict(), steps), tuned)
    weights, decoder_steps = torch.load(tuned, weights_only=True) if tuned.exists() else (None, 0)
    if weights:
        system.autoencoder.load_state_dict(weights)
    if args.only_decoder:
        return
    first = torch.load(args.run / "autoencoder.pt", weights_only=True)
    state = torch.load(args.run / f"{args.denoiser}.pt", weights_only=True)
    parts = nn.ModuleDict({"denoiser": system.denoiser, "reward_end": system.reward_end})
    parts.load_state_dict(state["average"])
    n = config.denoiser.context_frames
    rng = np.random.default_rng(3)
    numbers = rng.choice(np.array(held_out(store)), args.starts, replace=False)
    places = [(int(i), int(rng.integers(store.lengths[i] - n - 8))) for i in numbers]
    card = {
        "tier": "laptop",
        "env": store.info["env"],
        "data": store.info,
        "frames": int(sum(EpisodeStore(path).num_frames for path in args.data)),
        "steps": state["step"],
        "steps_before": {"autoencoder": first["step"], "decoder": decoder_steps},
        "minutes": round((first["spent"] + state["spent"]) / 60, 1),
        "metrics": json.loads(args.metrics.read_text()) if args.metrics else {},
        "note": args.note,
        "seed": 0,
        **hub.run_facts(),
    }  # fmt: skip
    folder = args.out / args.name
    hub.save(folder, system, "gamengen", card, store.clip(places, n), torch.float16)
    size = (folder / "model.safetensors").stat().st_size / 1e6
    print(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    main()
