"""Puts a pre-trained V-JEPA into assets/checkpoints, with its probes beside what they must beat.

    wmlearn fit vjepa --tier laptop --data data/metaworld --env metaworld/pairs --frames 40960 \\
        --out runs/ship --max_steps 7000 --max_minutes 14
    wmlearn fit vjepa ... --out runs/pixels --max_steps 4000 --max_minutes 0 \\
        --system.predict pixels --system.regulariser none
    python tools/ship_encoder.py runs/ship vjepa-metaworld --data data/metaworld --twin runs/pixels
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from wmlearn import hub
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluate.motion import motion_clips, probe_motion, table
from wmlearn.systems.vjepa import VJEPA

KEPT = ("tier", "env", "data", "frames", "steps", "batch_size", "minutes", "seed",
        "hardware", "platform", "torch", "commit")  # fmt: skip


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("name", help="the name it is shipped under")
    parser.add_argument("--data", type=Path, required=True, help="what it is probed on")
    parser.add_argument("--twin", type=Path, help="folder of the run that fills in pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the probes")
    args = parser.parse_args()
    system = hub.load(args.run)
    clips = motion_clips(EpisodeStore(args.data))
    scores = {
        "features": probe_motion(system, clips, args.seeds),
        "one frame": probe_motion(system, clips, args.seeds, one_frame=True),
    }
    random = VJEPA(system.config).eval()
    scores["random"] = probe_motion(random, clips, args.seeds)
    scores["random, one frame"] = probe_motion(random, clips, args.seeds, one_frame=True)
    card = {key: system.card[key] for key in KEPT if system.card.get(key) is not None}
    twin = None
    if args.twin:
        module = hub.load(args.twin)
        scores["pixels"] = probe_motion(module, clips, args.seeds)
        scores["pixels, one frame"] = probe_motion(module, clips, args.seeds, one_frame=True)
        fresh = VJEPA(system.config), VJEPA(module.config)
        ours, theirs = step_times(*fresh, clip=clips.train[: card["batch_size"]])
        twin = {key: module.card[key] for key in ("steps", "minutes")}
        twin["cpu_of_a_step"] = round(theirs / ours, 2)  # the encoder's is 1
        twin["cpu_of_the_run"] = round(theirs * twin["steps"] / (ours * card["steps"]), 2)
    found = table(scores)
    card["metrics"] = {
        f"{name}: {'task or its reversal' if kind == 'pairs' else '16 classes'}": round(
            found[name][kind].value, 3
        )
        for kind in ("pairs", "all")
        for name in scores
    }
    card["training"] = {
        "probe": f"attentive, {len(clips.train)} clips to learn from, {len(clips.test)} of other "
        f"episodes to test; mean of seeds {args.seeds}",
        "pixel_twin": twin,
    }
    target = hub.assets_dir() / "checkpoints" / args.name
    hub.save(target, system, "vjepa", card, dtype=torch.float16)
    evaluation = {
        name: {
            kind: {"value": each.value, "low": each.low, "high": each.high}
            for kind, each in kinds.items()
        }
        | {"pairs_by_seed": [score.pairs for score in scores[name]]}
        for name, kinds in found.items()
    }
    (target / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n")
    for name, kinds in found.items():
        print(f"{name:18} pairs {kinds['pairs'].format(3)}  all {kinds['all'].format(3)}")
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    print(f"{target}: {size:.1f} MB")


if __name__ == "__main__":
    main()
