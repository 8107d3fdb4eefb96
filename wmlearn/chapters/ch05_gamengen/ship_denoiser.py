"""Trains the denoiser of the shipped checkpoint; stopped, it goes on where it was.

    python -m wmlearn.chapters.ch05_gamengen.ship_denoiser runs/ship runs/defend/agent

The same losses as ``GameNGen.training_step``, but each frame is encoded once, not at every step.
``--minutes`` are minutes of the processor. The learning rate falls to zero along a cosine.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn.chapters.ch05_gamengen.ship_autoencoder import all_frames
from wmlearn.data.episodes import EpisodeStore
from wmlearn.systems.gamengen.config import GameNGenConfig
from wmlearn.systems.gamengen.system import GameNGen


class Latents(NamedTuple):
    """Every frame's latents, and what goes with them, one episode after the other.

    ``latents`` float16 [N, c, h, w]; ``weights`` float16 [N, h, w]; ``first`` int64 [N], where the
    frame's episode begins; ``actions``, ``rewards``, ``terminated`` [N], of the step that led to
    the frame (0 for an episode's first one).
    """

    latents: Tensor
    weights: Tensor
    first: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor


@torch.inference_mode()
def encode_all(
    system: GameNGen, paths: list[Path], share: float = 1.0, holdout: float = 0.1
) -> Latents:
    """Encodes the training episodes of every dataset, or the first ``share`` of them."""
    parts: list[list[Tensor]] = []
    place = 0
    for path in paths:
        store = EpisodeStore(path)
        for number in range(round(share * (len(store) - round(holdout * len(store))))):
            episode = store[number]
            latents, weights = [], []
            for frames in torch.from_numpy(episode.frames.copy()).split(256):
                with torch.autocast("cpu", torch.bfloat16):
                    latents.append(system.encode(frames).half())
                weights.append(system.latent_weights(frames)[:, 0].half())
            steps = [torch.zeros(1, dtype=torch.int64), torch.zeros(1), torch.zeros(1).bool()]
            taken = (episode.actions, episode.rewards, episode.terminated)
            parts.append(
                [
                    torch.cat(latents),
                    torch.cat(weights),
                    torch.full((len(episode.frames),), place),
                    *(
                        torch.cat([a, torch.from_numpy(b.copy())])
                        for a, b in zip(steps, taken, strict=True)
                    ),
                ]
            )
            place += len(episode.frames)
    return Latents(*map(torch.cat, zip(*parts, strict=True)))


def windows(data: Latents, last: Tensor, n: int) -> tuple[Tensor, ...]:
    """What ``GameNGen.denoiser_losses`` takes, for the windows that end at frames ``last`` [B].

    A window that begins before its episode is continued backwards: its first frame stood still
    under action 0.
    """
    frames = last[:, None] + torch.arange(-n, 1)
    first = data.first[last][:, None]
    inside = torch.maximum(frames, first)
    actions = torch.where(frames[:, 1:] > first, data.actions[inside[:, 1:]], 0)
    weight = GameNGen.emphasis(data.weights[inside[:, -2]][:, None].float())
    return (
        data.latents[inside].float(), actions, data.rewards[last], data.terminated[last], weight
    )  # fmt: skip


def moving(data: Latents) -> tuple[Tensor, Tensor]:
    """Frames that can be predicted [M], and the running sum [M] of the change just before them.

    Half of a batch is drawn by it: frames of shots, monsters and turns, not of standing still. The
    change *to* the frame itself must not be taken, or the surprising would be learned as the rule.
    """
    candidates = torch.nonzero(torch.arange(len(data.first)) > data.first)[:, 0]
    change = []
    for some in candidates.split(1024):
        before = torch.maximum(some - 2, data.first[some])
        step = (data.latents[some - 1].float() - data.latents[before].float()).square().mean(1)
        change.append((step * data.weights[some - 1].float()).mean((1, 2)))
    return candidates, torch.cat(change).cumsum(0)


def fit(
    system: GameNGen,
    data: Latents,
    file: Path,
    minutes: float,
    batch: int,
    rate: float,
    ema: float = 0.998,
    seed: int = 0,
    max_steps: int = 0,
) -> GameNGen:
    """Trains denoiser and reward_end for so many minutes of the processor, or steps.

    Returns the system with averaged weights.
    """
    parts = nn.ModuleDict({"denoiser": system.denoiser, "reward_end": system.reward_end})
    parts.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        parts.parameters(), rate, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
    )
    average = {name: value.clone() for name, value in parts.state_dict().items()}
    step, spent = 0, 0.0
    if file.exists():
        state = torch.load(file, weights_only=True)
        parts.load_state_dict(state["parts"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, spent = state["average"], state["step"], state["spent"]
        print(f"goes on at step {step}, {spent / 60:.1f} minutes", flush=True)

    def save() -> None:
        state = {
            "parts": parts.state_dict(), "optimizer": optimizer.state_dict(), "average": average,
            "step": step, "spent": time.process_time() - begin,
        }  # fmt: skip
        torch.save(state, file.with_suffix(".partial"))
        os.replace(file.with_suffix(".partial"), file)

    candidates, moves = moving(data)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    begin, saved, sums = time.process_time() - spent, time.monotonic(), []

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    n = system.config.denoiser.context_frames
    while True:
        share = (time.process_time() - begin) / (60 * minutes)
        share = max(share, step / max_steps) if max_steps else share
        if share >= 1:
            break
        for group in optimizer.param_groups:
            # half of the time at full rate, then down to zero
            fall = 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * share - 1)))
            group["lr"] = rate * min(1, (step + 1) / 200) * fall
        some = torch.randint(len(candidates), (batch - batch // 2,), generator=generator)
        drawn = torch.rand(batch // 2, generator=generator)
        others = torch.searchsorted(moves, drawn * moves[-1]).clamp(max=len(candidates) - 1)
        chosen = candidates[torch.cat([some, others])]
        with torch.autocast("cpu", torch.bfloat16):
            losses = system.denoiser_losses(*windows(data, chosen, n), noise)
        loss = sum(losses.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(system.denoiser.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in parts.state_dict().items():
                average[name].lerp_(value, 1 - keep)
        sums.append([value.item() for value in losses.values()])
        if step % 200 == 0:
            means = ", ".join(f"{a} {b:.4f}" for a, b in zip(losses, np.mean(sums, 0), strict=True))
            print(f"{step} {(time.process_time() - begin) / 60:.1f} min, {means}", flush=True)
            sums = []
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            save()
    save()
    parts.load_state_dict(average)
    return system


def load_autoencoder(config: GameNGenConfig, out: Path, paths: list[Path]) -> GameNGen:
    """The system with the trained autoencoder, its latents' scale measured."""
    system = GameNGen(config)
    state = torch.load(out / "autoencoder.pt", weights_only=True)
    system.autoencoder.load_state_dict(state["model"])
    system.autoencoder.eval().to(memory_format=torch.channels_last)
    scale = out / "scale.pt"
    if not scale.exists():
        frames = all_frames(paths)
        sample = torch.from_numpy(frames[:: max(1, len(frames) // 2000)])
        system.measure_scale(sample)
        system.measure_colors(sample)
        torch.save((system.latent_mean, system.latent_std, system.color_weights), scale)
    for buffer, value in zip(
        (system.latent_mean, system.latent_std, system.color_weights),
        torch.load(scale, weights_only=True),
        strict=True,
    ):
        buffer.copy_(value)
    return system


def main() -> None:
    from wmlearn.systems.gamengen.recipe import SHIPPED

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--name", default="denoiser")
    parser.add_argument("--share", type=float, default=1.0, help="of the episodes")
    parser.add_argument("--context", type=int, help="context frames; default: the shipped config's")
    parser.add_argument("--context-noise", type=float, help="default: the shipped config's")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = {"context_frames": args.context, "context_noise": args.context_noise}
    changes = {name: value for name, value in changes.items() if value is not None}
    config = replace(SHIPPED, denoiser=replace(SHIPPED.denoiser, **changes))
    system = load_autoencoder(config, args.out, args.data)
    store = args.out / "latents.pt"
    if store.exists():
        data = Latents(*torch.load(store, weights_only=True))
    else:
        data = encode_all(system, args.data, args.share)
        torch.save(tuple(data), store)
    print(f"{len(data.latents)} latents; {asdict(config.denoiser)}", flush=True)
    fit(system, data, args.out / f"{args.name}.pt", args.minutes, args.batch, args.rate)


if __name__ == "__main__":
    main()
