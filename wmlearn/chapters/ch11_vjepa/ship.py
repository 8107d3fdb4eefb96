"""Puts a pre-trained V-JEPA into assets/checkpoints, with its probes beside what they must beat.

    DATA="--tier laptop --data data/metaworld --env metaworld/pairs --frames 40960 --max_minutes 0"
    PIXELS="--system.predict pixels --system.regularizer none"
    wmlearn record metaworld/pairs --frames 40960 --out data/metaworld
    wmlearn fit vjepa $DATA --max_steps 600 --out runs/1
    wmlearn fit vjepa $DATA --max_steps 600 --out runs/2 --init runs/1 --seed 1
    wmlearn fit vjepa $DATA $PIXELS --max_steps 690 --out runs/p1
    wmlearn fit vjepa $DATA $PIXELS --max_steps 690 --out runs/p2 --init runs/p1 --seed 1
    python -m wmlearn.chapters.ch11_vjepa.ship vjepa-metaworld --data data/metaworld \\
        --runs runs/1 runs/2 --twin runs/p1 runs/p2
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from wmlearn import hub
from wmlearn.chapters.ch11_vjepa.judge import probe_section, with_seeds
from wmlearn.chapters.ch11_vjepa.motion import (
    MotionClips,
    both_ways,
    development,
    few_labels,
    motion_clips,
    probe_motion,
    table,
)
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation import Section, evaluate
from wmlearn.systems.vjepa import VJEPA

FEW = 10  # labeled clips of a class, each both ways; there are 60
RATES = (1e-3, 3e-3)  # of the probe
HOLDOUT = 0.25  # of the episodes, as in pre-training
NAMES = {
    "features": "the encoder",
    "random": "  never trained",
    "pixels": "  its twin, which predicts pixels",
}
KEPT = ("tier", "env", "data", "frames", "steps", "batch_size", "minutes", "seed",
        "hardware", "platform", "torch", "commit")  # fmt: skip


def whole(runs: Sequence[Path]) -> dict[str, float]:
    """Steps and minutes of all runs together."""
    cards = [hub.read_card(run) for run in runs]
    return {
        "steps": sum(card["steps"] for card in cards),
        "minutes": round(sum(card["minutes"] for card in cards), 2),
    }


def step_times(*systems: VJEPA, clip: Clip, repeats: int = 50) -> list[float]:
    """Median CPU seconds of a training step of each system, taken in turns."""
    optimizers = [system.configure_optimizers()["optimizer"] for system in systems]
    seconds: list[list[float]] = [[] for _ in systems]
    for step in range(repeats):
        for system, optimizer, each in zip(systems, optimizers, seconds, strict=True):
            began = time.process_time()
            loss = sum(system.losses(clip, step).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            system.update_target()
            each.append(time.process_time() - began)
    return [statistics.median(each) for each in seconds]


def choose_rate(system: nn.Module, clips: MotionClips) -> float:
    """The probe's learning rate that suits this encoder best, on development clips."""
    trial = few_labels(both_ways(development(clips)), FEW)
    found = {
        rate: probe_motion(system, trial, epochs=40, learning_rate=rate)[0].pairs for rate in RATES
    }
    return max(RATES, key=found.__getitem__)


def measure(
    system: nn.Module, clips: MotionClips, seeds: Sequence[int], one_frame: bool = False
) -> dict:
    """``{test: {"pairs" or "all": ...}}`` and, under "rate", the probe's learning rate.

    Args:
        system: the encoder.
        clips: as filmed.
        seeds: of the probes.
        one_frame: also measure what its features of one frame tell.
    """
    both, rate = both_ways(clips), choose_rate(system, clips)
    few = few_labels(both, FEW)
    tests = {
        "ten labels": (few, dict(epochs=40)),
        "all labels": (both, {}),
        "as filmed": (clips, {}),
    }
    if one_frame:
        tests["ten labels, one frame"] = (few, dict(epochs=40, one_frame=True))
        tests["as filmed, one frame"] = (clips, dict(one_frame=True))
    scores = {
        test: probe_motion(system, data, seeds, learning_rate=rate, **options)
        for test, (data, options) in tests.items()
    }
    return table(scores) | {"rate": rate}


def whole_section(scores: Mapping[str, Mapping], seeds: Sequence[int]) -> Section:
    """All that was measured, for the card: ``{encoder: {test: {"pairs" or "all": ...}}}``."""
    tests = list(dict.fromkeys(test for each in scores.values() for test in each))
    rows = {
        f"{NAMES[encoder]}, {test}": with_seeds(scores[encoder][test], seeds)
        for test in tests
        for encoder in scores
        if test in scores[encoder]
    }
    note = "Frozen features; ten labeled clips of a motion, each also backwards, or all of them."
    return probe_section(rows, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", help="the name it is shipped under")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="one after the other")
    parser.add_argument(
        "--twin", type=Path, nargs="+", required=True, help="runs of the pixel twin"
    )
    parser.add_argument("--data", type=Path, required=True, help="what it is probed on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the probes")
    args = parser.parse_args()
    system, twin = hub.load(args.runs[-1]), hub.load(args.twin[-1])
    clips = motion_clips(EpisodeStore(args.data), holdout=HOLDOUT)
    encoders = {"features": system, "random": VJEPA(system.config).eval(), "pixels": twin}
    scores = {
        name: measure(encoder, clips, args.seeds, one_frame=encoder is system)
        for name, encoder in encoders.items()
    }
    ship(args, system, twin, clips, scores)


def ship(args: argparse.Namespace, system: VJEPA, twin: VJEPA, clips: MotionClips, scores) -> None:
    """Writes the checkpoint with its card and its evaluation."""
    rates = {name: each.pop("rate") for name, each in scores.items()}
    card = {key: system.card[key] for key in KEPT if system.card.get(key) is not None}
    card |= whole(args.runs)
    fresh = VJEPA(system.config), VJEPA(twin.config)
    ours, theirs = step_times(*fresh, clip=clips.train[: card["batch_size"]])
    spent = whole(args.twin)
    spent["cpu_of_a_step"] = round(theirs / ours, 2)  # the encoder's is 1
    spent["cpu_of_the_run"] = round(theirs * spent["steps"] / (ours * card["steps"]), 2)
    card["metrics"] = {
        f"{name}, {test}: {'motion or its reversal' if kind == 'pairs' else '16 motions'}": round(
            kinds[kind].value, 3
        )
        for kind in ("pairs", "all")
        for name, each in scores.items()
        for test, kinds in each.items()
    }
    card["training"] = {
        "runs": len(args.runs),
        "probe": f"attentive, mean of seeds {args.seeds}, its learning rate chosen for each "
        f"encoder on development clips: {rates}",
        "pixel_twin": spent,
    }
    target = hub.assets_dir() / "checkpoints" / args.name
    hub.save(target, system, "vjepa", card, dtype=torch.float16)
    evaluation = evaluate(target, args.data, holdout=HOLDOUT, judge={"probe": False})
    section = whole_section(scores, args.seeds)
    replace(evaluation, sections=(section,)).save(target / "evaluation.json")
    for name, each in scores.items():
        for test, kinds in each.items():
            pairs, motions = (kinds[kind].format(3) for kind in ("pairs", "all"))
            print(f"{name:9} {test:24} reversal {pairs}  16 motions {motions}")
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    print(f"{target}: {size:.1f} MB")


if __name__ == "__main__":
    main()
