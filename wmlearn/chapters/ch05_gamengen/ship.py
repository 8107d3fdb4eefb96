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
from torch import nn

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.measure import held_out
from wmlearn.chapters.ch05_gamengen.ship_autoencoder import all_frames
from wmlearn.chapters.ch05_gamengen.ship_denoiser import load_autoencoder
from wmlearn.data.episodes import EpisodeStore
from wmlearn.systems.gamengen.recipe import SHIPPED, reward_values
from wmlearn.systems.gamengen.system import GameNGen


def tune_decoder(
    system: GameNGen, frames: np.ndarray, minutes: float, batch: int = 12, rate: float = 3e-4
) -> int:
    """Trains the decoder alone; returns the number of steps.

    Half of a batch is the frames of a larger draw whose last error was the largest.
    """
    decoder = system.autoencoder.decoder, system.autoencoder.post_quant_conv
    parameters = [p for module in decoder for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.95), weight_decay=1e-3)
    rng, error = np.random.default_rng(7), np.full(len(frames), 1.0, np.float32)
    begin, step, seen = time.process_time(), 0, []
    while (share := (time.process_time() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * share))
        drawn, half = rng.integers(0, len(frames), 10 * batch), batch // 2
        hardest = drawn[half:][np.argsort(-error[drawn[half:]])[: batch - half]]
        chosen = np.concatenate([drawn[:half], hardest])
        with torch.autocast("cpu", torch.bfloat16):
            errors = system.decoder_errors(torch.from_numpy(frames[chosen]))
        optimizer.zero_grad(set_to_none=True)
        errors.mean().backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        error[chosen] = errors.detach().numpy()
        error *= 1.0005
        seen.append(errors[:half].mean().item())
        step += 1
        if step % 100 == 0:
            print(f"decoder {step}, error {np.mean(seen[-100:]):.5f}", flush=True)
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
