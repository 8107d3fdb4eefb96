"""What data of accidents buys: small worlds that saw the grass, and others that never did.

    python -m wmlearn.chapters.ch08_cosmos.hazard cosmos-driving data/cars --out hazard.json

The shipped tokenizer stays as it is. Two corpora of equally many episodes are drawn: in one a third
leaves the road, in the other none does. On each, small diffusion models are trained for equally
many steps; then the eight drivers go on from real beginnings in both, as in reality.
"""

from __future__ import annotations

import argparse
import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.driving import (
    GAP,
    ON_ROAD,
    POLICIES,
    Drives,
    DrivingProbe,
    drive_really,
    known,
    load_probe,
    road_meters,
)
from wmlearn.chapters.ch08_cosmos.measure import held_out, plain
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.closed_loop import ClosedLoop
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.recipe import LAPTOP
from wmlearn.world import World

OFF_ROAD = ("fast", "reckless", "straight on")
"""Drivers who in reality leave the road within three seconds."""
_LENGTH = 481  # frames of an episode that are used


def corpora(store: EpisodeStore, episodes: int) -> dict[str, list[int]]:
    """Episodes of two corpora: a third leaves the road by more than its width, or none does."""
    test, kinds = set(held_out(store)), {True: [], False: []}
    for i, length in enumerate(store.lengths.tolist()):
        if i not in test and length >= _LENGTH:
            state = store.clip([(i, 0)], _LENGTH).state
            away = known(state)[0, :, 1].abs() > 1.0
            kinds[bool(away.float().mean() > 0.05)].append(i)
    third = min(episodes // 3, len(kinds[True]))
    safe = kinds[False][:episodes]
    return {"with hazard": safe[: len(safe) - third] + kinds[True][:third], "without": safe}


@torch.inference_mode()
def encoded(system: Cosmos, store: EpisodeStore, episodes: list[int]) -> tuple[Tensor, Tensor]:
    """Latents ``[N, t, c, h, w]`` of segments of 41 frames, and actions that led to them."""
    latents, actions = [], []
    for episode in episodes:
        rows = [(episode, begin) for begin in range(0, _LENGTH - 40, 40)]
        clip = store.clip(rows, 41)
        with torch.autocast("cpu", torch.bfloat16, bfloat16_is_fast("cpu")):
            latents.append(system.encode(clip.frames).float())
        actions.append(system.actions_of(clip.actions.float(), latents[-1].shape[1]))
    return torch.cat(latents), torch.cat(actions)


def small_world(
    shipped: Cosmos, latents: Tensor, actions: Tensor, steps: int, seed: int, batch: int = 16
) -> World:
    """A small diffusion model of these latents, trained for so many steps."""
    config = replace(
        shipped.config,
        denoiser=replace(LAPTOP.denoiser, action_dim=3),
        sampler=replace(shipped.config.sampler, num_steps=1),
        seed=seed,
    )
    system, generator = Cosmos(config), torch.Generator().manual_seed(seed)
    system.tokenizer.load_state_dict(shipped.tokenizer.state_dict())
    for name in ("latent_mean", "latent_std"):
        getattr(system, name).copy_(getattr(shipped, name))
    model, t = system.denoiser, config.denoiser.latent_frames
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, betas=(0.9, 0.99), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    for _ in range(steps):
        row = torch.randint(len(latents), (batch, 1), generator=generator)
        at = torch.randint(latents.shape[1] - t + 1, (batch, 1), generator=generator)
        at = at + torch.arange(t)
        count = torch.randint(1, t, (batch, 1), generator=generator)
        loss, _ = model.loss(latents[row, at], torch.arange(t) < count, noise, actions[row, at])
        loss.mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
    return system.eval().world()


@torch.inference_mode()
def dreamed(real: list[Drives], probe: DrivingProbe, world: World, chunks: int, seed: int) -> list:
    """Metres of road of each driver in the dream, all of them side by side."""
    begins, counts = [d.start for d in real], [len(d.start) for d in real]
    start = Clip(torch.cat([s.frames for s in begins]), torch.cat([s.actions for s in begins]))
    state, recent = world.reset(start), start.frames[:, -GAP - 1 :]
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng([seed, 6])
    frames = [start.frames[:, -GAP:]]
    for _ in range(chunks):
        seen = probe.read(recent)[:, -1].split(counts)
        pairs = zip(POLICIES.values(), seen, strict=True)
        action = torch.cat([policy.act(part, rng) for policy, part in pairs])
        state, step = world.step(state, action, generator)
        frames.append(step.frames)
        recent = torch.cat([recent, step.frames], 1)[:, -GAP - 1 :]
    return list(road_meters(probe.read(torch.cat(frames, 1))).double().split(counts))


def compare(
    meters: dict[str, list[list[Tensor]]], real: list[Tensor], steps: int, resamples: int = 2000
) -> dict[str, dict]:
    """Ranks and forgiveness of each corpus, over seeds of the model, and how they differ.

    Args:
        meters: by corpus, of each seed, of each driver: ``[starts]``.
        real: of each driver, ``[starts]``.
        steps: frames of a drive.
        resamples: of the intervals of ranks.
    """
    names, found, forgiven = tuple(POLICIES), {}, {}
    for corpus, seeds in meters.items():
        both = tuple(torch.stack(parts).mean(0) for parts in zip(*seeds, strict=True))
        loop = ClosedLoop(names, both, tuple(real), steps)
        rows = [names.index(name) for name in OFF_ROAD]
        forgiven[corpus] = torch.cat([both[i] - real[i] for i in rows])
        singles = (ClosedLoop(names, tuple(parts), tuple(real), steps) for parts in seeds)
        found[corpus] = {
            "spearman": loop.spearman(resamples),
            "of each seed": [single.spearman(10).value for single in singles],
            "bias": loop.bias(resamples),
            "metres too many of who leaves the road": mean_estimate(forgiven[corpus]),
        }
    first, second = forgiven
    found["forgives more without"] = mean_estimate(forgiven[second] - forgiven[first])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("world", help="checkpoint whose tokenizer and probe are taken")
    parser.add_argument(
        "data", type=Path, help="episodes with states; the last twelfth is left out"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=24, help="of a corpus")
    parser.add_argument("--steps", type=int, default=500, help="of each model's training")
    parser.add_argument("--seeds", type=int, default=2, help="models of a corpus")
    parser.add_argument("--tracks", type=int, default=5, help="drives of each policy")
    parser.add_argument("--chunks", type=int, default=19, help="that a policy drives")
    args = parser.parse_args()
    torch.set_num_threads(1)
    say = functools.partial(print, flush=True)
    store, probe, shipped = EpisodeStore(args.data), load_probe(args.world), hub.load(args.world)
    world = shipped.world()
    tracks = list(range(900, 900 + args.tracks))
    drives = [drive_really(p, probe, tracks, world, args.chunks) for p in POLICIES.values()]
    real = [road_meters(known(d.state)).double() for d in drives]
    chosen = corpora(store, args.episodes)
    share = {name: _off_road(store, rows) for name, rows in chosen.items()}
    say(share)
    meters = {name: [] for name in chosen}
    once = {i: encoded(shipped, store, [i]) for i in {i for rows in chosen.values() for i in rows}}
    latents = {
        name: tuple(torch.cat(part) for part in zip(*(once[i] for i in rows), strict=True))
        for name, rows in chosen.items()
    }
    say("latents")
    for seed in range(args.seeds):
        for name, its in latents.items():
            world = small_world(shipped, *its, args.steps, seed)
            meters[name].append(dreamed(drives, probe, world, args.chunks, seed))
            say(seed, name, [round(m.mean().item()) for m in meters[name][-1]])
        found = compare(meters, real, args.chunks * 4)
        for name in chosen:
            found[name]["episodes"] = len(chosen[name])
            found[name]["frames off the road"] = share[name]
        found |= {"steps": args.steps, "seeds": seed + 1}
        write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")


def _off_road(store: EpisodeStore, episodes: list[int]) -> float:
    """Share of frames on which the car is off the road."""
    state = store.clip([(i, 0) for i in episodes], _LENGTH).state
    return (known(state)[..., 1].abs() > ON_ROAD).double().mean().item()


if __name__ == "__main__":
    main()
