r"""Sora's choices as an ablation, each trained for the same seconds on the same clips.

    python -m wmlearn.chapters.ch06_sora.ablations --out choices.json
    python -m wmlearn.chapters.ch06_sora.ablations --side 32 --frames 8 --batch 16 --dim 64 \
        --layers 3 --clips 2000 --videos 64 --seconds 45 --processes 1

The first is for a GPU, the second for one core of a processor, whose seconds are then those of the
processor. A small network learns from clips of one body; the autoencoder is the shipped one. Varied
are what the network is asked for; latents or patches of pixels; attention over space and time in
turn or over all tokens at once; and whether a frame is told its number. Each then goes on from
three given frames of new videos.

With frames of 64 x 64, where two bodies fit into the box, a V-JEPA and a Sora also learn from clips
of all families, and judge what cannot be (:mod:`wmlearn.chapters.ch06_sora.vjepa_judge`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch06_sora import measure, ship, vjepa_judge
from wmlearn.chapters.ch06_sora.figures import plain
from wmlearn.envs.scenes import draw
from wmlearn.envs.scenes.violations import GROSS, SUBTLE
from wmlearn.files import write_whole
from wmlearn.systems.sora.config import SoraConfig
from wmlearn.systems.sora.recipe import RECIPE
from wmlearn.systems.sora.system import Sora

LEVELS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
HIGH_LEVELS = (0.9, 0.95, 0.99)
FAMILIES = "x, all families"
SURPRISE = "V-JEPA"
THREE, FEWER = 0.6, 0.15
CLIPS, TOP = 12_000, 2e-3
SHOWN = (4, 7, 8, 15)  # frames at which places are compared


def choices(shipped: SoraConfig, dim: int = 128, layers: int = 4) -> dict[str, SoraConfig | None]:
    """Name -> configuration; None stands for the V-JEPA."""
    base = replace(shipped, dim=dim, layers=layers, heads=4, image_share=0.0)
    return {
        "x": base,
        "flow": replace(base, prediction="flow"),
        "v": replace(base, prediction="v"),
        "noise": replace(base, prediction="eps"),
        "pixels": replace(base, autoencoder=None, patch=8),
        "all together": replace(base, factorized=False),
        "no frame numbers": replace(base, frame_features=0),
        SURPRISE: None,
        FAMILIES: base,
    }


@dataclass(frozen=True)
class Films:
    """Frames uint8 ``[N, T, 3, H, W]``, their latents, and words int64 ``[N, SAYINGS, L]``."""

    frames: Tensor
    latents: Tensor
    words: Tensor


def timed(seconds: float, step: Callable[[int, float], None], device: torch.device) -> int:
    """``step(number, rate)`` for so many seconds, the rate rising and falling; the steps."""
    clock = time.process_time if device.type == "cpu" else time.monotonic
    began, number = clock(), 0
    while (passed := (clock() - began) / seconds) < 1:
        step(number, ship.rate(passed, number, warmup=30))
        number += 1
        if number % 20 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # else the work of one would be counted as the next one's
    return number


def trained(
    config: SoraConfig, shipped: Sora, films: Films, seconds: float, batch: int
) -> tuple[Sora, int]:
    """A Sora of this configuration after so many seconds; and its steps."""
    device = shipped.device
    torch.manual_seed(config.seed)
    system = Sora(config).to(device)
    if config.autoencoder:
        system.autoencoder.load_state_dict(shipped.autoencoder.state_dict())
        system.latent_mean.copy_(shipped.latent_mean)
        system.latent_std.copy_(shipped.latent_std)
        system.autoencoder.requires_grad_(False)
    else:
        system.measure_scale(films.frames[:64].flatten(0, 1))
    optimizers, balance = ship.optimizers(system, TOP), ship.Balance(device)
    tops = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    parameters = [*system.words.parameters(), *system.transformer.parameters()]

    def step(number: int, rate: float) -> None:
        for optimizer, top in zip(optimizers, tops, strict=True):
            optimizer.param_groups[0]["lr"] = top * rate
        rows = torch.randint(len(films.words), (batch,), device=device)
        x = films.latents[rows].float() if config.autoencoder else system.encode(films.frames[rows])
        given, level = ship.kinds(batch, device, THREE, FEWER)
        levels = level[:, None] * (torch.arange(x.shape[1], device=device) >= given[:, None])
        hidden = torch.rand(batch, device=device) < torch.where(given > 0, *ship.HIDE)
        with torch.autocast(device.type, torch.bfloat16):
            errors = system.errors_at(
                x, films.words[rows, 0], torch.randn_like(x), levels, hidden[:, None]
            )
            loss = balance(errors, given, level)
        ship.descend(optimizers, loss, parameters)

    steps = timed(seconds, step, device)
    return system.eval(), steps


def of_size(system: Sora, size: tuple[int, int], frames: int) -> Sora:
    """The shipped autoencoder in a system of other frames, each of which is told its number."""
    small = Sora(replace(system.config, image_size=size, frames=frames, frame_features=32))
    RECIPE.initialize(small, system)
    return small.eval()


@torch.no_grad()
def by_level(system: Sora, frames: Tensor, seed: int = 7) -> dict[float, float]:
    """Noise level -> mean squared error of the clean latents, three frames given, no words."""
    x = system.encode(frames.to(system.device)).float()
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x.device)
    found = {}
    for number in LEVELS:
        level = torch.full(x.shape[:2], number, device=x.device)
        level[:, : measure.GIVEN] = 0.0
        with torch.autocast(system.device.type, torch.bfloat16):
            guess = system.denoise(system.prediction.path.mix(x, eps, level), level)
        found[number] = (guess - x)[:, measure.GIVEN :].square().mean().item()
    return found


def judged(system: Sora, real: measure.Scene) -> dict:
    """How it goes on from three given frames; of predictions of latents, the errors by level."""
    row = dict(vars(measure.motion(real, measure.continued(system, real), SHOWN)))
    if system.autoencoder:
        row["by level"] = by_level(system, real.frames)
    return row


def preferences(system: Sora, pairs: measure.Scene, **options) -> dict:
    """Violation -> share of pairs in which the true video surprises less."""
    laws = {**GROSS, **SUBTLE}
    return {
        name: measure.preference(system, pairs, law, **options)[0] for name, law in laws.items()
    }


def films(shipped: Sora, family: str, count: int, processes: int, seed: int) -> Films:
    """New clips of a family, drawn and encoded."""
    size = shipped.config.image_size
    states, words = ship.simulate_all(count, size, shipped.config, processes, seed, family=family)
    clips = ship.encode(shipped, states, words, size)
    frames = torch.cat([draw(part.to(shipped.device), size) for part in states.split(64)])
    return Films(frames, clips.latents, clips.words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="each; default: %(default)s")
    parser.add_argument("--only", nargs="*", help="choices; default: all")
    parser.add_argument("--batch", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--side", type=int, default=64, help="of a frame; default: %(default)s")
    parser.add_argument("--frames", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--dim", type=int, default=128, help="width; default: %(default)s")
    parser.add_argument("--layers", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    parser.add_argument("--videos", type=int, default=128, help="to judge by")
    parser.add_argument("--processes", type=int, default=8, help="that simulate")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = (args.side, args.side)
    shipped = of_size(hub.load("sora-scenes"), size, args.frames).to(device)
    all_choices = choices(shipped.config, args.dim, args.layers)
    judges = {SURPRISE, FAMILIES} if args.side >= 64 else set()
    names = args.only or [n for n in all_choices if n in judges or n not in (SURPRISE, FAMILIES)]
    one = films(shipped, "one", args.clips, args.processes, 800_000)
    shape = dict(frames=args.frames, size=size)
    real, every, pairs = measure.scene("one", args.videos, 5, **shape), None, None
    if not {SURPRISE, FAMILIES}.isdisjoint(names):
        every = films(shipped, "all", args.clips, args.processes, 500_000)
        pairs = measure.scene("hit", args.videos, **shape)
    kept = ("batch", "side", "frames", "dim", "layers", "clips", "seconds", "videos")
    table, facts = {}, {name: getattr(args, name) for name in kept}
    for name in names:
        config = all_choices[name]
        if config is None:
            row = vjepa_judge.train_and_judge(every.frames, pairs, args.seconds, args.batch)
        else:
            clips = every if name == FAMILIES else one
            system, steps = trained(config, shipped, clips, args.seconds, args.batch)
            row = {"steps": steps, **judged(system, real)}
            if name == FAMILIES:
                row["likelihood"] = preferences(system, pairs)
                row["likelihood, high levels"] = preferences(system, pairs, levels=HIGH_LEVELS)
        table[name] = plain(row)
        print(name, json.dumps(table[name]), flush=True)
        if args.out:
            write_whole(args.out, json.dumps(facts | {"table": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
