"""Trains the shipped checkpoint on whatever device there is, and stops in time.

    python -m wmlearn.chapters.ch06_sora.ship runs/sora-ship --minutes 60
    python -m wmlearn.chapters.ch06_sora.ship runs/more --minutes 30 --init runs/sora-ship

The losses are those of ``Sora.training_step``; clips are simulated anew for each run and never
written: a GPU draws and encodes them once, so that a step costs the transformer alone. The share of
the minutes that the autoencoder gets, the rising and falling rate, pictures and a second shape of
frame are the recipe's ideas, counted in minutes instead of steps. A run is saved every minute.

Three things are its own. Half of the clips get three frames, and half of those more noise in the
rest: going on from what was seen is learned where noise hides the rest. An error counts relative to
the usual one of its kind (:class:`Balance`), for else the clips from words alone, of which no one
can know where things are, drown the others. And matrices are updated by Muon (Jordan et al. 2024),
the rest by AdamW. The checkpoint that comes with the course is older than these three; its card
says how it was trained.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch06_sora.measure import GIVEN
from wmlearn.envs.scenes import draw, sample_scenes, simulate
from wmlearn.envs.scenes.captions import captions
from wmlearn.nn.text import Vocabulary
from wmlearn.systems.sora.config import SoraConfig
from wmlearn.systems.sora.recipe import SHIPPED
from wmlearn.systems.sora.system import Sora

SQUARE, WIDE = (64, 64), (48, 96)
AUTOENCODER = 0.15  # share of the minutes
CHUNK = 500  # scenes that one process makes at a time
SAYINGS = 3  # captions of each clip, with other things left out
OUTCOME = 0.3  # share of captions that say how it ends
THREE, FEWER = 0.5, 0.14  # shares of clips from three, and from one or two given frames
MORE_NOISE = 1.5  # added to the logit of the level, for half of those from three
HIDE = 0.3, 0.1  # shares of texts that are hidden, of clips with given frames and without
BINS = 10  # of noise levels


@dataclass(frozen=True)
class Clips:
    """Latents float16 ``[N, T, c, h, w]`` and words int64 ``[N, SAYINGS, L]``."""

    latents: Tensor
    words: Tensor


class Balance:
    """Errors, each over the running mean of those of its kind.

    A kind is the number of given frames and the noise level's tenth. Each then counts alike,
    however much of it cannot be known (the aim of the learned weights in EDM2; Karras et al. 2024).

    Args:
        device: of the means.
        keep: how much of its past a mean keeps, for each new error.
    """

    def __init__(self, device: torch.device, keep: float = 0.98) -> None:
        self.mean, self.keep = torch.full(((GIVEN + 1) * BINS,), 0.1, device=device), keep

    def __call__(self, errors: Tensor, given: Tensor, level: Tensor) -> Tensor:
        """The mean of errors ``[B]``; given int64 ``[B]``, level ``[B]`` in 0..1."""
        kind = given * BINS + (level * BINS).long().clamp(max=BINS - 1)
        with torch.no_grad():
            zero, one = torch.zeros_like(self.mean), torch.ones_like(errors, dtype=torch.float32)
            total = zero.index_add(0, kind, errors.float())
            count = zero.index_add(0, kind, one)
            now = torch.where(count > 0, total / count.clamp(min=1), self.mean)
            self.mean.lerp_(now, 1 - self.keep**count)
            weight = 1 / self.mean[kind].clamp(min=2e-3)
        return (errors * weight).mean()


def kinds(
    count: int, device: torch.device, share: float = THREE, share_fewer: float = FEWER
) -> tuple[Tensor, Tensor]:
    """How many frames are given ``[count]``, int64; and the noise levels of the rest, ``[count]``.

    The first ones get three frames, in fixed number; then come those with one or two.
    """
    three, fewer = round(count * share), round(count * share_fewer)
    rows = torch.arange(count, device=device)
    some = torch.randint(1, GIVEN, (count,), device=device)
    given = torch.where(rows < three, GIVEN, some * (rows < three + fewer))
    logit = torch.randn(count, device=device) + 1.5 + MORE_NOISE * (rows < three // 2)
    return given, logit.sigmoid()


def make(job: tuple[int, str, tuple[int, int], SoraConfig]) -> tuple[np.ndarray, np.ndarray]:
    """States ``[CHUNK, T, S]`` and words ``[CHUNK, SAYINGS, L]`` of one seed."""
    seed, family, size, config = job
    rng = np.random.default_rng([19, seed])
    state, touched = simulate(sample_scenes(CHUNK, rng, family, size=size), config.frames)
    vocabulary = Vocabulary(config.text.words, config.text.length)
    said = [captions(state, touched, rng, OUTCOME) for _ in range(SAYINGS)]
    return state, np.stack([vocabulary.encode(texts).numpy() for texts in said], axis=1)


def simulate_all(
    count: int,
    size: tuple[int, int],
    config: SoraConfig,
    processes: int,
    seed: int,
    family: str = "all",
) -> tuple[Tensor, Tensor]:
    """The same for at least ``count`` clips, by several processes."""
    jobs = [(seed + k, family, size, config) for k in range(-(-count // CHUNK))]
    with get_context("fork").Pool(processes) as pool:
        parts = pool.map(make, jobs, chunksize=1)
    states, words = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return torch.from_numpy(states), torch.from_numpy(words)


@torch.no_grad()
def encode(system: Sora, states: Tensor, words: Tensor, size: tuple[int, int]) -> Clips:
    """Draws and encodes every clip once."""
    parts = []
    for part in states.split(64):
        with torch.autocast(system.device.type, torch.bfloat16):
            latents = system.encode(draw(part.to(system.device), size))
        parts.append(latents.half())
    return Clips(torch.cat(parts), words.to(system.device))


def rate(passed: float, step: int, warmup: int = 100) -> float:
    """Of the highest learning rate, when this share of the time has passed."""
    return min(1.0, (step + 1) / warmup) * (1.0 if passed < 0.4 else max(0.02, (1 - passed) / 0.6))


def train_autoencoder(system: Sora, states: Tensor, seconds: float, batch: int = 256) -> int:
    """Trains the autoencoder on single frames; then the latents' scale is measured. Its steps."""
    device, model = system.device, system.autoencoder
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, betas=(0.9, 0.95), weight_decay=1e-3)
    began, step = time.monotonic(), 0
    while (passed := (time.monotonic() - began) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = 2e-3 * rate(passed, step)
        rows = torch.randint(len(states), (batch,)), torch.randint(states.shape[1], (batch,))
        frames = draw(states[rows].to(device))
        normal = torch.randn(
            batch, system.config.latent_channels, *system.config.latent_size, device=device
        )
        with torch.autocast(device.type, torch.bfloat16):
            loss = system.autoencoder_errors(frames, normal).mean()
        descend([optimizer], loss, model.parameters())
        step += 1
    system.measure_scale(draw(states[:32].flatten(0, 1).to(device)))
    return step


def optimizers(system: Sora, top: float) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for all else that makes videos."""
    if not hasattr(torch.optim, "Muon"):
        raise SystemExit("This run needs torch.optim.Muon: install PyTorch 2.9 or newer.")
    parts = {"words": system.words, "transformer": system.transformer}
    named = [pair for name, part in parts.items() for pair in part.named_parameters(name)]
    inner = {name for name, p in named if p.ndim == 2 and "blocks" in name and min(p.shape) >= 16}
    matrices = [p for name, p in named if name in inner]
    rest = [p for name, p in named if name not in inner]
    return [
        torch.optim.Muon(matrices, top, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, 0.53 * top, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def train_video(
    system: Sora, square: Clips, wide: Clips, seconds: float, batch: int, top: float, save
) -> tuple[dict[str, Tensor], int]:
    """Trains words and transformer; the averaged weights, and the steps.

    Some steps see single frames, some a second shape of frame: the same weights take a picture as a
    video of one frame, and a video of any size.
    """
    device = system.device
    trained = [*system.words.parameters(), *system.transformer.parameters()]
    both, balance = optimizers(system, top), Balance(device)
    tops = [optimizer.param_groups[0]["lr"] for optimizer in both]
    average = {name: value.detach().clone() for name, value in system.state_dict().items()}
    began = saved = time.monotonic()
    step = 0
    while (passed := (time.monotonic() - began) / seconds) < 1:
        for optimizer, highest in zip(both, tops, strict=True):
            optimizer.param_groups[0]["lr"] = highest * rate(passed, step)
        kind = {5: "picture", 21: "wide"}.get(step % 32, "video")
        clips, count = (wide if kind == "wide" else square), batch * (4 if kind == "picture" else 1)
        rows = torch.randint(len(clips.latents), (count,), device=device)
        x = clips.latents[rows].float()
        given, level = kinds(count, device)
        if kind == "picture":
            one = torch.randint(x.shape[1], (count,), device=device)
            x, given = x[torch.arange(count, device=device), one][:, None], torch.zeros_like(given)
        numbers = clips.words[rows, torch.randint(SAYINGS, (count,), device=device)]
        free = torch.arange(x.shape[1], device=device) >= given[:, None]
        hidden = torch.rand(count, device=device) < torch.where(given > 0, *HIDE)
        with torch.autocast(device.type, torch.bfloat16):
            levels = level[:, None] * free
            errors = system.errors_at(x, numbers, torch.randn_like(x), levels, hidden[:, None])
            loss = balance(errors, given, level)
        descend(both, loss, trained)
        step += 1
        share = max(0.002, 90 / (step + 100))
        with torch.no_grad():
            for name, value in system.state_dict().items():
                average[name].lerp_(value, share)
        if step == 1 or time.monotonic() - saved > 60:
            saved = time.monotonic()
            print(f"step {step}, {passed:.0%} of the time, loss {loss.item():.4f}", flush=True)
            save(average, step)
    return average, step


def started(config: SoraConfig, checkpoint: str) -> Sora:
    """A system with a trained one's weights; what only it has begins at zero.

    Raises:
        ValueError: more than the frames' numbers is new.
    """
    system = Sora(config)
    missing, unexpected = system.load_state_dict(hub.load(checkpoint).state_dict(), strict=False)
    if unexpected or any("transformer.conditioning" not in name for name in missing):
        raise ValueError(f"{checkpoint} has other parts than this configuration.")
    return system


def descend(steps: list[torch.optim.Optimizer], loss: Tensor, parameters) -> None:
    """One step of these optimizers, with the gradient clipped."""
    for optimizer in steps:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    for optimizer in steps:
        optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder to write to")
    parser.add_argument("--minutes", type=float, default=60.0, help="default: %(default)s")
    parser.add_argument("--init", help="checkpoint to go on from: its autoencoder stays as it is")
    parser.add_argument(
        "--frame-features", type=int, default=32, help="0: no frame is told its number"
    )
    parser.add_argument("--clips", type=int, default=48_000, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="default: %(default)s")
    parser.add_argument("--processes", type=int, default=8, help="that simulate")
    args = parser.parse_args()

    began, end = time.monotonic(), 60 * args.minutes
    config = replace(SHIPPED, frame_features=args.frame_features)
    states, words = simulate_all(args.clips, SQUARE, config, args.processes, 0)
    wide = simulate_all(max(CHUNK, args.clips // 12), WIDE, config, args.processes, 100_000)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    system = (started(config, args.init) if args.init else Sora(config)).to(device)
    steps = 0 if args.init else train_autoencoder(system, states, AUTOENCODER * end)
    system.autoencoder.requires_grad_(False)
    square, wide = (
        encode(system, *both, size) for both, size in (((states, words), SQUARE), (wide, WIDE))
    )

    def save(weights: dict[str, Tensor], step: int) -> None:
        plain = Sora(config)
        plain.load_state_dict({name: value.float().cpu() for name, value in weights.items()})
        facts = {
            "env": "scenes/all", "steps": step, "autoencoder_steps": steps,
            "batch_size": args.batch, "minutes": round((time.monotonic() - began) / 60, 1),
            "hardware": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        }  # fmt: skip
        hub.save(args.run, plain, "sora", facts)

    left = end - (time.monotonic() - began)
    save(*train_video(system, square, wide, left, args.batch, args.rate, save))


if __name__ == "__main__":
    main()
