"""What curation buys: the same small diffusion model on a curated heap, a random part, all of it.

    python -m wmlearn.chapters.ch08_cosmos.clean cosmos-driving data/cars --out curation.json

A raw heap is made of training episodes, and curated by functions that see frames alone. Three
models learn from it, at equal steps: from what curation kept, from as many clips drawn at random,
and from all clips. They work on the latents of the shipped tokenizer, see no actions, and are asked
for the frames that follow in clean, held-out episodes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.measure import held_out, plain
from wmlearn.data.clip import Clip
from wmlearn.data.curation import (
    Film,
    Raw,
    Shot,
    agreement,
    deduplicate,
    keep,
    make_raw,
    split,
)
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.recipes.optim import adamw, scheduled, warmup_cosine
from wmlearn.systems.cosmos.denoiser import Denoiser
from wmlearn.systems.cosmos.system import Cosmos

LENGTH = 17  # frames of a clip: a picture and four latents more
STRIDE = 12  # frames from one clip of a shot to the next
FAULTS = ("still", "fast", "overlay")


# --- the functions, judged -----------------------------------------------------------------------


def stretches(raw: Raw) -> list[tuple[Shot, str]]:
    """Every true stretch of the heap and its kind."""
    found = []
    for number, (film, cuts, kinds) in enumerate(zip(raw.films, raw.cuts, raw.kinds, strict=True)):
        edges = [0, *cuts, len(film)]
        for begin, end, kind in zip(edges, edges[1:], kinds, strict=False):
            found.append((Shot(film[begin:end], number, begin), kind))
    return found


def judge_cuts(raw: Raw) -> dict[str, float]:
    """Precision, recall and F1 of the cuts that are found."""
    found, true = set(), set()
    for number, (film, cuts) in enumerate(zip(raw.films, raw.cuts, strict=True)):
        found |= {(number, shot.begin) for shot in split(film, number) if shot.begin}
        true |= {(number, cut) for cut in cuts}
    return agreement(found, true)


def judge(raw: Raw) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each function, given the true input of each."""
    scores = {"cuts": judge_cuts(raw)}
    own = stretches(raw)
    said = [keep(shot) for shot, _ in own]
    for fault in FAULTS:
        named = {i for i, word in enumerate(said) if word == fault}
        scores[fault] = agreement(named, {i for i, (_, kind) in enumerate(own) if kind == fault})
    usable = [(shot, kind) for shot, kind in own if kind in ("good", "duplicate")]
    stay = set(deduplicate([shot for shot, _ in usable]))
    scores["duplicates"] = _judge_duplicates(usable, stay)
    return scores


def _judge_duplicates(usable: list[tuple[Shot, str]], stay: set[int]) -> dict[str, float]:
    """By groups: of each stretch and its noisy copies one is to stay, whichever comes first."""
    groups: dict[int, list[int]] = {}
    firsts = [i for i, (_, kind) in enumerate(usable) if kind == "good"]
    for i, (shot, kind) in enumerate(usable):
        mine = i if kind == "good" else min(firsts, key=lambda j: _apart(usable[j][0], shot))
        groups.setdefault(mine, []).append(i)
    true = {i for group in groups.values() for i in sorted(group)[1:]}
    return agreement(set(range(len(usable))) - stay, true)


def _apart(one: Shot, other: Shot) -> float:
    if len(one.frames) != len(other.frames):
        return float("inf")
    return float(np.abs(one.frames[::8].astype(np.int16) - other.frames[::8]).mean())


# --- three corpora -------------------------------------------------------------------------------


def curate(films: Sequence[Film]) -> list[Shot]:
    """Split, filter and deduplicate: what is left of a heap."""
    shots = [shot for number, film in enumerate(films) for shot in split(film, number)]
    shots = [shot for shot in shots if not keep(shot)]
    return [shots[i] for i in deduplicate(shots)]


def windows(films: Sequence[Film]) -> np.ndarray:
    """Clips of ``LENGTH`` frames of each: uint8 ``[N, LENGTH, C, H, W]``.

    Raises:
        ValueError: there is not one.
    """
    found = [
        film[begin : begin + LENGTH]
        for film in films
        for begin in range(0, len(film) - LENGTH + 1, STRIDE)
    ]
    if not found:
        raise ValueError(f"Nothing is left of {LENGTH} frames or more: curate a larger heap.")
    return np.stack(found)


def corpora(raw: Raw, seed: int = 0) -> dict[str, np.ndarray]:
    """Clips of the curated part, of as large a random part, and of all."""
    every = windows(raw.films)
    curated = windows([shot.frames for shot in curate(raw.films)])
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(every), min(len(curated), len(every)), replace=False)
    return {"curated": curated, "random": every[chosen], "all": every}


# --- three models --------------------------------------------------------------------------------


@torch.no_grad()
def latents_of(system: Cosmos, clips: np.ndarray) -> Tensor:
    """Scaled latents ``[N, 5, c, h, w]``."""
    parts = torch.from_numpy(clips).split(16)
    return torch.cat([system.encode(part) for part in parts])


def train_small(system: Cosmos, latents: Tensor, steps: int, batch: int, seed: int) -> Denoiser:
    """A small denoiser without actions, on latents."""
    small = replace(
        system.config.denoiser, dim=96, layers=3, heads=3, action_dim=0, latent_frames=5
    )
    config = replace(system.config, denoiser=small)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Denoiser(config)
    optimizer = adamw(model.parameters(), 1.5e-3, 1e-3, (0.9, 0.99))
    schedule = scheduled(optimizer, [warmup_cosine(30, steps)])["lr_scheduler"]["scheduler"]

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    for _ in range(steps):
        rows = torch.randint(len(latents), (batch,), generator=generator)
        known = system.known(torch.rand(batch, 2, generator=generator), latents.shape[1])
        model.loss(latents[rows], known, noise)[0].mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
    return model.eval()


@torch.no_grad()
def predict(system: Cosmos, model: Denoiser, clip: Clip, seed: int = 0) -> Tensor:
    """The four frames that follow 13 known ones: uint8 ``[B, 4, C, H, W]``."""
    generator = torch.Generator().manual_seed(seed)
    known = system.encode(clip.frames[:, : LENGTH - 4])

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    new = model.draw(known, 1, noise, system.config.sampler)
    return to_uint8(system.decode(torch.cat([known, new], dim=1)))[:, -4:]


def study(
    system: Cosmos,
    store: EpisodeStore,
    pieces: int = 400,
    steps: int = 300,
    batch: int = 8,
    seeds: Sequence[int] = (0, 1),
    clips: int = 64,
    say=print,
) -> dict[str, Any]:
    """The whole comparison; see the file's first lines."""
    test = held_out(store)
    films = [np.asarray(store[i].frames) for i in range(len(store)) if i not in test]
    raw = make_raw(films, pieces, seed=0)
    found: dict[str, Any] = {"functions": judge(raw), "steps": steps, "batch": batch}
    unseen = [np.asarray(store[i].frames) for i in test]
    heaps = [judge_cuts(make_raw(unseen, pieces // 2, seed=seed)) for seed in (21, 22, 23)]
    found["cuts of held-out films"] = heaps  # `split` was tuned on heaps of the others
    say("judged")
    parts = corpora(raw)
    found["clips"] = {name: len(part) for name, part in parts.items()}
    drawn = draw_windows(store.lengths.tolist(), test, LENGTH, clips, seed=2)
    clip = store.clip(drawn, LENGTH)
    real, copied = clip.frames[:, -4:], clip.frames[:, -5:-4].expand(-1, 4, -1, -1, -1)
    found["copy"] = mean_estimate(psnr(copied, real).mean(1))
    scores: dict[str, Tensor] = {}
    for name, part in parts.items():
        latents, rows = latents_of(system, part), []
        for seed in seeds:
            begin = time.process_time()
            model = train_small(system, latents, steps, batch, seed)
            rows.append(psnr(predict(system, model, clip), real).mean(1))
            say(f"{name} {seed}: {rows[-1].mean():.2f} dB, {time.process_time() - begin:.0f} s")
        scores[name] = torch.stack(rows).mean(0)
    found["psnr"] = {name: mean_estimate(score) for name, score in scores.items()}
    found["gain"] = {
        name: mean_estimate(scores["curated"] - scores[name]) for name in ("random", "all")
    }
    found["seeds"] = len(seeds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("system", help="checkpoint whose tokenizer is taken")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = study(hub.load(args.system), EpisodeStore(args.data), args.pieces, args.steps)
    write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
