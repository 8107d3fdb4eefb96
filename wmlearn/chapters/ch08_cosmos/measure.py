"""What the shipped Cosmos is measured by, on held-out episodes and in the real CarRacing.

    python -m wmlearn.chapters.ch08_cosmos.measure runs/cosmos data/cars --out metrics.json

Tokenizer (whole picture, and the 16 x 16 pixels around the car), the dream at several horizons
beside copying the last frame, frames a second, and the closed loop: eight policies that see only
pictures, in the dream and in reality, from the same beginnings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.driving import (
    FRAMES_A_SECOND,
    GAP,
    KNOWN,
    ON_ROAD,
    POLICIES,
    Drives,
    DrivingProbe,
    dream_again,
    known,
    load_probe,
    rank,
    train_probe,
    trajectory_error,
)
from wmlearn.chapters.ch08_cosmos.train_on_gpu import SEGMENT, STRIDE
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.envs.driving import CAR
from wmlearn.evaluation.rollout import draw_windows, rollout_batches
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos_ar import CosmosAR
from wmlearn.world import World


def held_out(store: EpisodeStore) -> list[int]:
    """The last twelfth of the episodes, which ``train_on_gpu`` leaves out."""
    return list(range(len(store) - max(1, len(store) // 12), len(store)))


@torch.inference_mode()
def tokenizer_quality(system, clip: Clip) -> dict[str, Estimate]:
    """PSNR in dB of clips decoded again: the whole picture, and around the car."""
    parts = []
    for start in range(0, len(clip), 16):
        frames = clip.frames[start : start + 16]
        code = system.encode(frames) if isinstance(system, Cosmos) else system.codes(frames)
        parts.append(to_uint8(system.decode(code)))
    shown, real = torch.cat(parts), clip.frames
    cut = (..., *CAR)
    return {
        "whole": mean_estimate(psnr(shown, real).mean(1)),
        "car": mean_estimate(psnr(shown[cut], real[cut]).mean(1)),
    }


def dream_quality(world: World, clip: Clip, horizons: tuple[int, ...], seed: int = 0) -> dict:
    """PSNR in dB of the dream, and of copying the last frame, at frames ahead."""
    real = clip.frames[:, world.context_frames :]
    shown = rollout_batches(world, clip, seed)
    copied = clip.frames[:, world.context_frames - 1 :][:, :1].expand_as(real)
    return {
        str(ahead): {
            "dream": mean_estimate(psnr(shown[:, ahead - 1], real[:, ahead - 1])),
            "copy": mean_estimate(psnr(copied[:, ahead - 1], real[:, ahead - 1])),
        }
        for ahead in horizons
    }


def frames_a_second(world: World, clip: Clip, steps: int = 12) -> float:
    """Of one dream, on as many threads as torch uses now: the median step's."""
    state, generator = world.reset(clip[:1]), torch.Generator().manual_seed(0)
    action, seconds = clip.actions[:1, 0].float(), []
    for _ in range(steps):
        begin = time.perf_counter()
        state, _ = world.step(state, action, generator)
        seconds.append(time.perf_counter() - begin)
    return world.chunk / float(np.median(seconds))


@torch.inference_mode()
def nats(
    system: CosmosAR, store: EpisodeStore, episodes: list[int], late: int = 0, temperature=1.0
) -> float:
    """What a code surprises the language model by, in nats.

    Args:
        system: the model.
        store: the episodes.
        episodes: which of them.
        late: frames by which the clips begin later than those that ``train_on_gpu`` cuts.
        temperature: divides the logits.
    """
    length, total = system.config.transformer.latent_frames, []
    for episode in episodes:
        clip = store.clip([(episode, STRIDE * k + late) for k in (3, 9, 15)], SEGMENT)
        codes = system.codes(clip.frames)
        actions = system.actions_of(clip.actions.float(), codes.shape[1])
        for first in (0, 3):
            part = codes[:, first : first + length].flatten(1)
            logits = system.transformer(part, actions[:, first : first + length]) / temperature
            total.append(F.cross_entropy(logits.flatten(0, 1), part.flatten()))
    return float(torch.stack(total).mean())


def by_heart(
    system: CosmosAR, store: EpisodeStore, train: list[int], test: list[int]
) -> dict[str, dict[str, float]]:
    """``nats`` by temperature: clips as it learned them, begun a little later, held out."""
    kinds = {
        "as in training": (train[::6], 0),
        "begun 4 frames later": (train[::6], 4),
        "begun 2 frames later": (train[::6], 2),
        "held out": (test, 0),
    }
    return {
        f"{temperature:g}": {
            name: nats(system, store, part, late, temperature)
            for name, (part, late) in kinds.items()
        }
        for temperature in (1.0, 2.0, 3.0)
    }


def fit_probe(store: EpisodeStore, train: list[int], steps: int) -> DrivingProbe:
    """A probe of these episodes."""
    pool = draw_windows(store.lengths.tolist(), train, GAP + 1, 2**31 - 1)

    def draw(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(pool), (count,), generator=generator).tolist()
        clip = store.clip([pool[row] for row in rows], GAP + 1)
        return clip.frames[:, [0, GAP]], clip.state[:, GAP]

    return train_probe(draw, steps)


@torch.inference_mode()
def probe_error(
    probe: DrivingProbe, store: EpisodeStore, episodes: list[int], count: int = 1000
) -> dict[str, dict[str, float]]:
    """Its floor: the absolute error on real frames, by number; all frames and those on the road."""
    windows = draw_windows(store.lengths.tolist(), episodes, GAP + 1, count)
    clip = store.clip(windows, GAP + 1)
    truth = known(clip.state[:, GAP])
    errors = (probe.read(clip.frames)[:, 0] - truth).abs()
    near = truth[:, KNOWN.index("lateral")].abs() < ON_ROAD
    found = {
        "mean": errors.mean(0),
        "median": errors.median(0).values,
        "mean on the road": errors[near].mean(0) if near.any() else errors.mean(0),
    }
    return {how: dict(zip(KNOWN, value.tolist(), strict=True)) for how, value in found.items()}


def closed_loop(
    world: World,
    probe: DrivingProbe,
    seeds: list[int],
    seconds: float,
    say: Callable[[str], None] = print,
    real: dict[str, Drives] | None = None,
) -> tuple[dict[str, Any], dict[str, Drives]]:
    """Ranks of the policies, and how far dreams under real actions stray from the real drives.

    Args:
        world: the dream.
        probe: what the policies see with.
        seeds: of the tracks.
        seconds: that each policy drives.
        say: called with a line of text now and then.
        real: the real drives, where they have been made before.

    Returns:
        What was found, and the real drives.
    """
    chunks = round(seconds * FRAMES_A_SECOND / world.chunk)
    loop, drives = rank(POLICIES, probe, world, seeds, chunks, say, real)
    apart: dict[int, list[Tensor]] = {ahead: [] for ahead in (25, 50) if ahead <= loop.steps}
    floor: dict[int, list[Tensor]] = {ahead: [] for ahead in apart}
    still: dict[int, list[Tensor]] = {ahead: [] for ahead in apart}
    for drive in drives.values():
        part = drive.first(-(-max(apart, default=1) // world.chunk) * world.chunk)
        read, truth = dream_again(part, world).read(probe), known(part.state)
        own = part.read(probe)
        begin = probe.read(part.start.frames)[:, -1:].expand_as(truth)
        for ahead in apart:
            apart[ahead].append(trajectory_error(read, truth, ahead))
            floor[ahead].append(trajectory_error(own, truth, ahead))
            still[ahead].append(trajectory_error(begin, truth, ahead))
    found = {
        "metres": {
            name: {"dream": dream, "real": real} for name, (dream, real) in loop.means().items()
        },
        "spearman": loop.spearman(),
        "pearson": loop.pearson(),
        "bias": loop.bias(),
        "trajectory_error": {
            str(ahead): {
                "dream": mean_estimate(torch.cat(apart[ahead])),
                "dream, median": torch.cat(apart[ahead]).median().item(),
                "probe on real frames": mean_estimate(torch.cat(floor[ahead])),
                "probe on real frames, median": torch.cat(floor[ahead]).median().item(),
                "as it began": mean_estimate(torch.cat(still[ahead])),
                "as it began, median": torch.cat(still[ahead]).median().item(),
            }
            for ahead in apart
        },
    }
    return found, drives


def measure(
    system,
    store: EpisodeStore,
    clips: int = 64,
    seeds: int = 16,
    probe_steps: int = 2000,
    seconds: float = 4.0,
    say: Callable[[str], None] = print,
    probe: DrivingProbe | None = None,
) -> dict[str, Any]:
    """All of it; see the file's first lines.

    Args:
        system: a trained one, of either family.
        store: episodes with states; the last twelfth is held out.
        clips: for tokenizer and dream.
        seeds: drives of each policy.
        probe_steps: of the probe's training.
        seconds: that a policy drives.
        say: called with a line of text now and then.
        probe: one that is trained already.
    """
    test = held_out(store)
    train = [number for number in range(len(store)) if number not in test]
    world, lengths = system.world(), store.lengths.tolist()
    ahead = tuple(
        h for h in (4, 8, 32) if world.context_frames + h <= min(lengths[i] for i in test)
    )
    windows = draw_windows(lengths, test, world.context_frames + max(ahead), clips)
    clip = store.clip(windows, world.context_frames + max(ahead))
    found: dict[str, Any] = {"clips": len(windows), "held_out_episodes": len(test)}
    found["tokenizer"] = tokenizer_quality(system, clip.time(0, world.context_frames))
    say("tokenizer")
    found["dream"] = dream_quality(world, clip, ahead)
    if isinstance(system, CosmosAR) and min(lengths) > SEGMENT + 16 * STRIDE:
        found["nats"] = by_heart(system, store, train, test)
    found["frames_a_second"] = frames_a_second(world, clip.time(0, world.context_frames))
    say("dream")
    if probe is None:
        probe = fit_probe(store, train, probe_steps)
    found["probe_error"] = probe_error(probe, store, test)
    say("probe")
    tracks = list(range(900, 900 + seeds))
    found["closed_loop"], _ = closed_loop(world, probe, tracks, seconds, say)
    return found


def plain(value: Any) -> Any:
    """Estimates and containers as JSON has them."""
    if isinstance(value, Estimate):
        return {k: v for k, v in asdict(value).items() if v not in (None, ())}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder or name of a checkpoint")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=16, help="drives of each policy")
    parser.add_argument("--seconds", type=float, default=4.0, help="that a policy drives")
    parser.add_argument("--probe", help="checkpoint whose probe is taken, else one is trained")
    parser.add_argument("--probe_steps", type=int, default=2000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    store = EpisodeStore(args.data)
    found = measure(
        hub.load(args.run),
        store,
        args.clips,
        args.seeds,
        args.probe_steps,
        args.seconds,
        probe=load_probe(args.probe) if args.probe else None,
    )
    write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
