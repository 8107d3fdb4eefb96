"""Measures a world of DOOM on held-out play, beside copying, the autoencoder and the real frames.

    python -m wmlearn.chapters.ch05_gamengen.measure gamengen-doom runs/defend/agent

Every clip starts with real frames and goes on under the actions that were really taken. Intervals
come from drawing episodes again. Nothing that was trained has seen these episodes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.judge import (
    EnemyFinder,
    HudReader,
    flicker,
    gradient,
    in_place,
    still_pixels,
    train_finder,
)
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.controllability import derangement
from wmlearn.evaluation.rollout import draw_windows, rollout_batches
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, bootstrap_weights, mean_estimate, psnr
from wmlearn.pixels import to_uint8

HORIZONS = (1, 8, 32, 64)
LONG = 100  # own steps, after which sharpness is measured again


def held_out(store: EpisodeStore, holdout: float = 0.1) -> range:
    """The numbers of the episodes that nothing was trained on: the last ones."""
    return range(len(store) - round(holdout * len(store)), len(store))


def draw_clips(
    store: EpisodeStore, length: int, count: int, seed: int = 0, holdout: float = 0.1
) -> tuple[Clip, Tensor]:
    """Held-out clips of ``length`` frames, and the episode of each."""
    places = draw_windows(store.lengths, list(held_out(store, holdout)), length, count, seed)
    return store.clip(places, length), torch.tensor([episode for episode, _ in places])


def instruments(store: EpisodeStore, seed: int = 0) -> tuple[HudReader, EnemyFinder]:
    """The readers of the status bar and of monsters, from training episodes."""
    rng = np.random.default_rng(seed)
    frames, states = [], []
    for number in range(len(store) - len(held_out(store))):
        episode = store[number]
        chosen = rng.choice(len(episode.frames), min(40, len(episode.frames)), replace=False)
        frames.append(torch.from_numpy(episode.frames[chosen]))
        states.append(torch.from_numpy(episode.state[chosen]))
    frames, states = torch.cat(frames), torch.cat(states)
    return HudReader(frames, states), train_finder(frames, states)


@torch.inference_mode()
def through_autoencoder(system, frames: Tensor) -> Tensor:
    """What is left of real frames uint8 ``[B, T, C, H, W]``: the ceiling of every dream."""
    flat = frames.flatten(0, 1)
    drawn = [to_uint8(system.decode(system.encode(part))) for part in flat.split(64)]
    return torch.cat(drawn).view(frames.shape)


def measure(
    world, system, clip: Clip, episodes: Tensor, readers, seed: int = 0
) -> tuple[dict[str, Estimate | float], Tensor]:
    """All figures, and the dreamed frames ``[B, LONG, C, H, W]``.

    Args:
        world: what is judged.
        system: whose autoencoder is the ceiling; None leaves that out.
        clip: real clips of ``context + LONG`` frames.
        episodes: of the clips.
        readers: see :func:`instruments`.
    """
    n, (hud, finder) = world.context_frames, readers
    dream = rollout_batches(world, clip, seed)
    other = clip.actions[derangement(len(clip), seed)][:, n - 1 :]
    other = rollout_batches(world, clip, seed, other[:, : max(HORIZONS[:3])])
    real, last = clip.frames[:, n:], clip.frames[:, n - 1]
    kept = None if system is None else through_autoencoder(system, real)
    found: dict[str, Estimate | float] = {}

    def note(name: str, values: Tensor) -> None:
        found[name] = mean_estimate(values, episodes)

    for h in HORIZONS:
        target = real[:, h - 1]
        sources = {"dream": dream[:, h - 1], "copy": last}
        if h <= other.shape[1]:
            sources["other actions"] = other[:, h - 1]
        if kept is not None:
            sources["autoencoder"] = kept[:, h - 1]
        for name, frames in sources.items():
            note(f"psnr {h} {name}", psnr(frames, target))
        state = clip.state[:, n + h - 1]
        for name, frames in {**sources, "real": target}.items():
            right, count = in_place(finder, frames, state)
            found[f"monsters {h} {name}"] = share_in_place(right, count, episodes)
            numbers = hud.read(frames)
            for column, reading in enumerate(numbers.values()):
                word = ("ammo", "health")[column]
                note(f"{word} {h} {name}", (reading == state[:, column].round()).float())
    base = gradient(real[:, ::8]).mean()
    for h in (32, LONG):
        found[f"sharpness {h}"] = (gradient(dream[:, h - 1]).mean() / base).item()
    if kept is not None:
        found["sharpness autoencoder"] = (gradient(kept[:, ::8]).mean() / base).item()
    still = still_pixels(real[:, :64])
    found["flicker"] = (flicker(dream[:, :64], still) / flicker(real[:, :64], still)).item()
    found["flicker levels"] = flicker(dream[:, :64], still).item()
    return found, dream


def share_in_place(right: np.ndarray, count: np.ndarray, episodes: Tensor) -> Estimate:
    """Of all that there were, the share that was right; whole episodes are drawn again."""
    right, count = torch.from_numpy(right), torch.from_numpy(count)
    weights = bootstrap_weights(episodes)
    shares = (weights @ right) / (weights @ count).clamp(min=1)
    low, high = shares.quantile(torch.tensor([0.025, 0.975], dtype=shares.dtype)).tolist()
    return Estimate((right.sum() / count.sum().clamp(min=1)).item(), low, high)


def strip(path: Path, clip: Clip, dream: Tensor, n: int, rows=(0, 1, 2, 3), scale: int = 2) -> None:
    """Rows real, dream, real, dream; columns the last context frame, then steps of the dream."""
    steps = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 80, 100)
    steps = [h for h in steps if h <= dream.shape[1]]
    lines = []
    for row in rows:
        first = clip.frames[row, n - 1]
        lines.append(torch.cat([first, *(clip.frames[row, n + h - 1] for h in steps)], -1))
        lines.append(torch.cat([first, *(dream[row, h - 1] for h in steps)], -1))
    picture = torch.cat(lines, -2).permute(1, 2, 0).numpy()
    size = picture.shape[1] * scale, picture.shape[0] * scale
    Image.fromarray(picture).resize(size, Image.Resampling.NEAREST).save(path)


def frames_per_second(world, clip: Clip, steps: int = 60) -> float:
    """Steps a second of one dream, from the median step's time."""
    state, generator = world.reset(clip[:1].time(0, world.context_frames)), torch.Generator()
    times = []
    for i in range(steps):
        action, begin = clip.actions[:1, i % clip.actions.shape[1]], time.perf_counter()
        state, _ = world.step(state, action, generator)
        times.append(time.perf_counter() - begin)
    return 1 / float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--strip", type=Path)
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    system = hub.load(args.checkpoint)
    chosen = {"num_steps": args.num_steps, "guidance": args.guidance}
    world = system.world({name: value for name, value in chosen.items() if value is not None})
    store = EpisodeStore(args.data)
    clip, episodes = draw_clips(store, world.context_frames + LONG, args.clips, args.seed)
    found, dream = measure(world, system, clip, episodes, instruments(store), args.seed)
    found["frames per second"] = frames_per_second(world, clip)
    for name, value in found.items():
        print(f"{name:32s}", value.format(2) if isinstance(value, Estimate) else f"{value:.3f}")
    if args.strip:
        strip(args.strip, clip, dream, world.context_frames)
    if args.out:
        plain = {k: vars(v) if isinstance(v, Estimate) else v for k, v in found.items()}
        write_whole(args.out, json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
