"""What each choice is worth: small simulators on the same latents, one thing changed in each.

    python -m wmlearn.chapters.ch07_unisim.ablations CHECKPOINT --data FILES --out tables.json

Each is trained on the shipped autoencoder's latents to draw the last frame of a clip in one pass,
and asked for held-out futures of 1 and 4 frames, under the true actions and another clip's. All
variants are asked for the same ones. RUNS.json beside the table keeps what is done, so that a
command that was stopped goes on.

Legend: B clips, T frames of a clip, N frames ahead.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim.control import told
from wmlearn.chapters.ch07_unisim.mixture import Batch, DeviceNoise, Mixture
from wmlearn.chapters.ch07_unisim.record import Recording, load
from wmlearn.chapters.ch07_unisim.train import (
    Stretch,
    encode_all,
    precision,
    say,
    spread_out,
)
from wmlearn.evaluation.controllability import derangement
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.actions import Actions
from wmlearn.systems.unisim.config import ActionConfig, SimulatorConfig, UniSimConfig
from wmlearn.systems.unisim.simulator import PATH
from wmlearn.systems.unisim.system import UniSim

SMALL = SimulatorConfig(frames=5, dim=64, layers=2, heads=4, change_weight=20.0)
CONTEXT, AHEAD = 8, 4
HORIZONS = (1, AHEAD)
PLAYED = ("fetch", "doom")  # with BabyAI, too, 600 steps on a core were too few to steer in any


@dataclass(frozen=True)
class Variant:
    """One small simulator.

    Attributes:
        history: frames that it sees before the new one.
        spread: these are every so many frames.
        domain_id: whether it is told which world it is in.
        only: the one domain that it learns from, for its share of the steps; empty for all.
    """

    history: int = 4
    spread: int = 1
    domain_id: bool = True
    only: str = ""


FULL = "4 recent frames, domain id, together"
VARIANTS = {
    FULL: Variant(),
    "no domain id": Variant(domain_id=False),
    "1 frame": Variant(history=1),
    "4 frames, every second": Variant(spread=2),
    "fetch alone": Variant(only="fetch"),
    "doom alone": Variant(only="doom"),
}


class Futures:
    """Clips by world: those to be trained on, and the held-out ones.

    Args:
        mixture: its clips.
    """

    def __init__(self, mixture: Mixture) -> None:
        self.mixture, self._starts = mixture, {}

    def starts(self, domain: str, length: int, held_out: bool) -> Tensor:
        """Where whole clips of ``length`` frames begin: int64 ``[M]``."""
        key = (domain, length, held_out)
        if key not in self._starts:
            m, number = self.mixture, self.mixture.config.number_of(domain)
            rows = torch.nonzero((m.domain == number) & (m.held_out == held_out))[:, 0]
            rows = rows[rows + length - 1 <= m.end[rows]]
            self._starts[key] = rows
        return self._starts[key]

    def draw(self, count: int, length: int, domains: tuple[str, ...], generator) -> Batch:
        """Clips to be trained on, ``count`` of them, as many of each world."""
        parts = []
        for number, domain in enumerate(domains):
            rows = self.starts(domain, length, False)
            few = (count + number) // len(domains)
            pick = torch.randint(len(rows), (few,), generator=generator, device=rows.device)
            parts.append(rows[pick])
        return self.mixture.clips(torch.cat(parts), length)

    def held_out(self, domain: str, count: int) -> Batch:
        """The same ``count`` held-out futures for everybody (fewer where there are not as many)."""
        rows = self.starts(domain, CONTEXT + AHEAD, True)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        return self.mixture.clips(rows[order[:count].to(rows.device)], CONTEXT + AHEAD)


def small_model(teacher: UniSim, variant: Variant, seed: int, small: SimulatorConfig) -> UniSim:
    """A small simulator with the teacher's autoencoder."""
    torch.manual_seed(seed)
    config: UniSimConfig = replace(
        teacher.config, seed=seed, simulator=replace(small, frames=variant.history + 1),
        action=ActionConfig(dim=small.dim, domain_id=variant.domain_id),
    )  # fmt: skip
    model = UniSim(config).to(teacher.latent_mean.device)
    model.autoencoder.load_state_dict(teacher.autoencoder.state_dict())
    for name in ("latent_mean", "latent_std", "color_weights"):
        getattr(model, name).copy_(getattr(teacher, name))
    return model


def last_frame_loss(
    model: UniSim, latents: Tensor, actions: Actions, weight: Tensor, noise: DeviceNoise
) -> Tensor:
    """The weighted squared error of a clip's last latent, drawn from noise; the past nearly clean.

    Args:
        latents: ``[B, T, c, h, w]``.
        actions: that led to each frame.
        weight: ``[B, 1, h, w]``, what errors count.
        noise: draws all randomness.
    """
    batch, frames = latents.shape[:2]
    level = model.config.simulator.history_noise * noise.uniform(batch, frames)
    level[:, -1] = 1.0
    z = PATH.mix(latents, noise.normal(*latents.shape), level)
    withheld = noise.uniform(batch) < model.config.action.drop
    vectors = model.simulator.actions(actions.withheld(withheld))
    drawn = model.simulator.estimate(z, level, vectors)[:, -1]
    weight = weight * model.simulator.where_it_changed(latents)[:, -1]
    return (weight * (drawn.float() - latents[:, -1]) ** 2).mean()


def run(
    variant: Variant, teacher: UniSim, mixture: Mixture, latents: Tensor, weights: Tensor,
    seconds: float, batch: int, seed: int, most_steps: int | None = None,
    small: SimulatorConfig = SMALL, count: int = 96, futures: Futures | None = None,
) -> dict:  # fmt: skip
    """Trains one variant, and measures it on every world that it has learned.

    Args:
        teacher: whose autoencoder the latents are from.
        seconds: a limit; the learning rate follows whichever limit is nearer.
        most_steps: the same for all variants, so that their figures compare. A variant of one
            world alone makes its share of them: it has seen as many clips of it as the others.
        count: held-out clips of each world.

    Returns:
        By world its ``episode`` ``[B]`` and, by the horizons, ``true`` and ``cost`` ``[N, B]``, and
        ``copy`` of the last real frame, in dB; beside them ``steps`` and ``seconds``.
    """
    futures = futures or Futures(mixture)
    model = small_model(teacher, variant, seed, small)
    domains = (variant.only,) if variant.only else PLAYED
    if variant.only and most_steps:
        most_steps = max(1, round(most_steps / len(PLAYED)))
    noise = DeviceNoise(mixture.device, 100 + seed)
    stretch = Stretch([model.simulator], seconds, 3e-3, 1e-3, most_steps)
    begin = time.process_time()
    for _ in stretch:
        clip = futures.draw(batch, variant.history * variant.spread + 1, domains, noise.generator)
        index, actions = (spread_out(x, variant.spread) for x in (clip.index, clip.actions))
        with precision(mixture.device):
            loss = last_frame_loss(model, latents[index], actions, weights[index[:, -2]], noise)
        stretch.step({"loss": loss.float()})
    report, spent = stretch.report(), time.process_time() - begin
    found = {name: held_out(model, futures, latents, variant, name, count) for name in domains}
    return {**found, "steps": report["step"], "loss": report["loss"], "seconds": round(spent, 1)}


@torch.no_grad()
def held_out(
    model: UniSim, futures: Futures, latents: Tensor, variant: Variant, domain: str, count: int
) -> dict:
    """One world's held-out futures, clip by clip; see :func:`run`."""
    clip, mixture = futures.held_out(domain, count), futures.mixture
    other = derangement(len(clip.index), 0).to(mixture.device)
    mixed = with_future_of(clip.actions, other)
    seen = mixture.frames[clip.index[:, CONTEXT - 1]]
    found = {"copy": [], "true": [], "cost": []}
    drawn, wrong = (dreamed(model, latents[clip.index], a, variant) for a in (clip.actions, mixed))
    for n in HORIZONS:
        real = mixture.frames[clip.index[:, CONTEXT - 1 + n]]
        true, cost = (psnr(to_uint8(model.decode(x[n - 1])), real).cpu() for x in (drawn, wrong))
        rows = {"copy": psnr(seen, real).cpu(), "true": true, "cost": true - cost}
        for name, row in rows.items():
            found[name].append([round(float(x), 4) for x in row])
    return {"episode": mixture.episode[clip.index[:, 0]].tolist(), **found}


def dreamed(model: UniSim, latents: Tensor, actions: Actions, variant: Variant) -> list[Tensor]:
    """``AHEAD`` latents after ``CONTEXT`` real ones, each drawn in one pass from its past."""
    device, result = latents.device, []
    generator = torch.Generator(device).manual_seed(0)
    x = latents[:, :CONTEXT]
    for t in range(CONTEXT, CONTEXT + AHEAD):
        first = t - variant.history * variant.spread
        start = torch.randn(x[:, :1].shape, generator=generator, device=device)
        past = spread_out(torch.cat([x[:, first:], start], 1), variant.spread)
        led = spread_out(between(actions, first, t + 1), variant.spread)
        level = torch.zeros(past.shape[:2], device=device)
        level[:, -1] = 1.0
        with precision(device):
            vectors = model.simulator.actions(led)
            new = model.simulator.estimate(past, level, vectors)[:, -1].float()
        x = torch.cat([x, new[:, None]], 1)
        result.append(new)
    return result


def with_future_of(actions: Actions, other: Tensor) -> Actions:
    """The same actions, but what led to the frames after the context is another clip's."""
    parts = {
        name: value if name == "domain"
        else torch.cat([value[:, :CONTEXT], value[other, CONTEXT:]], 1)
        for name, value in vars(actions).items()
    }  # fmt: skip
    return Actions(**parts)


def between(actions: Actions, first: int, last: int) -> Actions:
    """The actions that led to frames ``first`` to ``last`` - 1."""
    cut = {k: v if k == "domain" else v[:, first:last] for k, v in vars(actions).items()}
    return Actions(**cut)


# --- the table ------------------------------------------------------------------------------------


def table(rows: list[dict]) -> dict:
    """All runs as the chapter shows them: by variant, world and horizon.

    Each has the mean over the seeds of ``true``, ``cost`` and, clip by clip, what it is ``more``
    than the full variant of the same seed and what its cost is (``steers more``), with intervals
    over episodes, and each seed's value.
    """
    of = {(row["variant"], row["seed"]): row for row in rows}
    found: dict = {}
    for name in VARIANTS:
        seeds = sorted(seed for variant, seed in of if variant == name)
        worlds = [w for w in PLAYED if seeds and w in of[name, seeds[0]]]
        for world in worlds:
            runs = [of[name, seed][world] for seed in seeds]
            both = [of[FULL, seed][world] if (FULL, seed) in of else None for seed in seeds]
            variant = found.setdefault(name, {"seeds": seeds, "steps": of[name, seeds[0]]["steps"]})
            variant[world] = [horizon(runs, both, number) for number in range(len(HORIZONS))]
    return found


def horizon(runs: list[dict], full: list[dict | None], number: int) -> dict:
    """One world and horizon of :func:`table`; ``full`` are the same seeds' full variants."""
    episode = torch.tensor(runs[0]["episode"])

    def over_seeds(values: list[list[float]]) -> dict:
        each = torch.tensor(values)
        return {
            **told(mean_estimate(each.mean(0), episode)),
            "seeds": [round(float(x), 2) for x in each.mean(1)],
        }

    row = {"horizon": HORIZONS[number]}
    for name in ("true", "cost"):
        row[name] = over_seeds([r[name][number] for r in runs])
    row["copy"] = told(mean_estimate(torch.tensor(runs[0]["copy"][number]), episode))
    pairs = [(r, f) for r, f in zip(runs, full, strict=True) if f is not None]
    if pairs:
        for name, its in (("more", "true"), ("steers more", "cost")):
            less = [np.subtract(r[its][number], f[its][number]).tolist() for r, f in pairs]
            row[name] = over_seeds(less)
    return row


ORDER = [
    *((name, seed) for seed in (0, 1) for name in (FULL, "no domain id")),
    *(("1 frame", seed) for seed in (0, 1)),
    *((f"{world} alone", seed) for seed in (0, 1) for world in PLAYED),
    *(("4 frames, every second", seed) for seed in (0, 1)),
]
"""So that a comparison has both its seeds as early as can be."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--frames", type=int, default=6_000, help="of each world, at most")
    parser.add_argument("--held_out", type=float, default=0.15, help="share of the episodes")
    parser.add_argument("--steps", type=int, default=1_700)
    parser.add_argument("--batch", type=int, default=18)
    parser.add_argument("--seconds", type=float, default=1e6, help="no run begins after so many")
    parser.add_argument("--runs", type=Path, required=True, help="a file that keeps all runs")
    parser.add_argument("--out", type=Path, help="tables.json, which gets the table")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    begin = time.monotonic()
    teacher = hub.load(args.checkpoint)
    recordings: dict[str, Recording] = {}
    for path in args.data:
        recordings.update(load(path))
    recordings = {
        k: shortened(v, args.frames if k in PLAYED else 200) for k, v in recordings.items()
    }
    mixture = Mixture(recordings, teacher.config)
    mixture.held_out = last_episodes(mixture, recordings, args.held_out)
    latents, weights = encode_all(teacher, mixture)
    say("frames", {k: len(v.frames) for k, v in recordings.items()})
    rows = json.loads(args.runs.read_text()) if args.runs.is_file() else []
    done, futures = {(row["variant"], row["seed"]) for row in rows}, Futures(mixture)
    for name, seed in [one for one in ORDER if one not in done]:
        if time.monotonic() - begin > args.seconds:
            break
        row = run(
            VARIANTS[name], teacher, mixture, latents, weights, 1e6, args.batch, seed, args.steps,
            futures=futures,
        )  # fmt: skip
        rows.append({"variant": name, "seed": seed, **row})
        write_whole(args.runs, json.dumps(rows))
        means = {w: [[round(float(np.mean(x)), 2) for x in row[w][k]] for k in ("true", "cost")]
                 for w in PLAYED if w in row}  # fmt: skip
        say(name, seed, {k: row[k] for k in ("steps", "loss", "seconds")}, means)
    if args.out:
        found = json.loads(args.out.read_text()) if args.out.is_file() else {}
        found["choices"] = {
            "frames": {k: len(recordings[k].frames) for k in PLAYED},
            "batch": args.batch,
            "held-out episodes": {w: len(set(rows[0][w]["episode"])) for w in PLAYED},
            "held-out clips": {w: len(rows[0][w]["episode"]) for w in PLAYED},
            "variants": table(rows),
        }
        write_whole(args.out, json.dumps(found, indent=1))


def last_episodes(mixture: Mixture, recordings: dict[str, Recording], share: float) -> Tensor:
    """Which frames are of the last ``share`` of each world's episodes: bool ``[N]``."""
    first = torch.tensor(
        [round((1 - share) * len(recordings[d.name].lengths)) for d in mixture.config.domains]
    )
    return mixture.episode >= first.to(mixture.device)[mixture.domain]


def shortened(recording: Recording, frames: int) -> Recording:
    """Its last whole episodes, of ``frames`` frames at most: the held-out ones are the last."""
    whole = int((np.cumsum(recording.lengths) <= len(recording.frames)).sum())  # a cut one is left
    lengths = recording.lengths[:whole]
    after, few = int(lengths.sum()), int((np.cumsum(lengths[::-1]) <= frames).sum())
    keep = slice(whole - few, whole)
    rows = slice(after - int(lengths[keep].sum()), after)
    parts = (recording.frames, recording.actions, recording.state, recording.reached)
    cut, actions, state, reached = (x[rows] for x in parts)
    return Recording(cut, actions, recording.lengths[keep], state, reached)


if __name__ == "__main__":
    main()
