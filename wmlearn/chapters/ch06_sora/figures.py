"""The figures that chapter 6 shows of its checkpoint, measured anew.

    python -m wmlearn.chapters.ch06_sora.figures sora-scenes --out figures.json
    python -m wmlearn.chapters.ch06_sora.figures sora-scenes --only "in range" faster

They stand in the checkpoint's card under "metrics". All of them draw some 3,000 videos: minutes of
a GPU, or about 40 of one processor core. An estimate is stored as value, low, high (a 95 %
interval, drawn over videos) and count.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from wmlearn import hub
from wmlearn.chapters.ch06_sora import measure
from wmlearn.envs.scenes import draw
from wmlearn.envs.scenes.sample import BEYOND, TRAINED
from wmlearn.envs.scenes.violations import GROSS, SUBTLE
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.systems.sora.system import Sora

VIDEOS, PROMPTS, SAME = 128, 208, 16
GUIDANCE = (1.0, 2.0, 3.0, 5.0, 8.0)
PROMPT = "a red ball moves right"
STEPS = (1, 2, 5, 10)  # of the sampler
LEVELS = (0.5, 0.85, 0.95, 0.99)  # of noise, at which surprise is measured
BY_WINDOW = {"levels": (0.8, 0.97), "draws": 1, "window": 8, "stride": 4}  # chosen on other pairs


def figures(videos: int = VIDEOS, prompts: int = PROMPTS) -> dict[str, Callable[[Sora], Any]]:
    """Name of a part of the card -> what measures it.

    Args:
        videos: of each kind; three times as many of collisions, four times of bars.
        prompts: of seen and of unseen combinations, each; half for other scales of guidance, an
            eighth for prompts of one and of two bodies.
    """
    parts: dict[str, Callable[[Sora], Any]] = {
        "in range": lambda sora: _motion(sora, "one", videos, TRAINED),
        "two": lambda sora: _motion(sora, "two", videos, TRAINED),
    }
    for kind in ("seen", "unseen"):
        parts[f"{kind} 3.0"] = lambda sora, kind=kind: _obeys(sora, kind, prompts, 3.0)
    for kind in ("seen", "unseen"):
        for family in ("one", "two"):
            parts[f"{kind} {family}"] = lambda sora, kind=kind, family=family: _obeys(
                sora, kind, prompts // 8, 3.0, family
            )
    for name, ranges in BEYOND.items():
        parts[name] = lambda sora, ranges=ranges: _motion(sora, "one", videos, ranges)
    parts["bar"] = lambda sora: _bar(sora, 4 * videos)
    parts["hit"] = lambda sora: _hit(sora, 3 * videos)
    parts["likelihood"] = lambda sora: _likelihood(sora, videos)
    parts["likelihood by window"] = lambda sora: _likelihood(sora, videos, **BY_WINDOW)
    parts["diversity"] = _diversity
    parts["where from"] = lambda sora: _where_from(sora, max(2, videos // 4))
    parts["likelihood by level"] = lambda sora: _by_level(sora, max(2, 3 * videos // 8))
    for scale in GUIDANCE:
        if scale != 3.0:
            parts[f"seen {scale}"] = lambda sora, scale=scale: _obeys(
                sora, "seen", prompts // 2, scale
            )
    return parts


def _motion(sora: Sora, family: str, count: int, ranges: measure.Ranges) -> dict[str, Any]:
    real = measure.scene(family, count, ranges=ranges)
    drawn = measure.continued(sora, real)
    found = asdict(measure.motion(real, drawn))
    true, got = measure.speeds(real, drawn)
    return found | {"true": true.tolist(), "got": got.tolist()}


def _obeys(
    sora: Sora, kind: str, count: int, guidance: float, family: str = "all"
) -> dict[str, Any]:
    found, _ = measure.obeys(sora, kind, count, family=family, guidance=guidance)
    return {name: getattr(found, name) for name in ("shown", "ceiling", "chance")}


def _bar(sora: Sora, count: int) -> dict[int, dict[str, Estimate]]:
    """In its place, within twice that distance, anywhere; and in its place without the bar."""
    real = measure.scene("bar", count)
    rows = measure.hidden_frames(real)[0] > 0
    real = measure.Scene(
        real.state[rows],
        real.touched[rows],
        real.frames[rows],
        [text for text, keep in zip(real.text, rows.tolist(), strict=True) if keep],
    )
    bare = real.state.clone()
    bare[..., -2:] = 0.0
    open_field = replace(real, frames=draw(bare))
    drawn = measure.continued(sora, real)
    found = {
        "in place": measure.permanence(real, drawn),
        "near": measure.permanence(real, drawn, 2 * measure.NEAR),
        "anywhere": measure.permanence(real, drawn, math.inf),
        "no bar": measure.permanence(real, measure.continued(sora, open_field)),
    }
    return {n: {name: part[n] for name, part in found.items()} for n in found["in place"]}


def _hit(sora: Sora, count: int) -> measure.Collisions:
    real = measure.scene("hit", count)
    return measure.collisions(real, measure.continued(sora, real))


def _likelihood(sora: Sora, count: int, **options: Any) -> dict[str, Estimate]:
    real, laws = measure.scene("hit", count), {**GROSS, **SUBTLE}
    return {name: measure.preference(sora, real, law, **options)[0] for name, law in laws.items()}


def _where_from(sora: Sora, count: int) -> dict[str, Any]:
    """Velocity errors of true videos, of the autoencoder's, and of drawn ones by steps: over
    all drawn frames, and of the first one.
    """
    real = measure.scene("one", count)
    with torch.no_grad():
        again = [
            sora.decode(sora.encode(part.to(sora.latent_mean.device))).cpu() for part in real.frames
        ]
    again = torch.stack(again)
    found = {"real": real.frames, "autoencoded": again}
    for steps in STEPS:
        first = real.frames[:, : measure.GIVEN]
        found[f"{steps} steps"] = measure.videos(
            sora, real.text, first, guidance=1.0, num_steps=steps
        )
    return {
        name: {
            "velocity": measure.motion(real, frames).velocity,
            "first": measure.first_step(real, frames),
        }
        for name, frames in found.items()
    }


def _by_level(sora: Sora, count: int) -> dict[str, dict[float, Estimate]]:
    """Violation -> noise level -> share of pairs in which the true video surprises less."""
    real, found = measure.scene("hit", count), {}
    own = {level: measure.surprise(sora, real.frames, (level,), 1) for level in LEVELS}
    for name, law in {**GROSS, **SUBTLE}.items():
        wrong, differs = measure.broken(real, law)
        if not differs.any():
            continue
        gaps = {
            level: measure.surprise(sora, wrong[differs], (level,), 1) - own[level][differs]
            for level in LEVELS
        }
        found[name] = {level: mean_estimate((gap > 0).double()) for level, gap in gaps.items()}
    return found


def _diversity(sora: Sora) -> dict[float, float]:
    return {
        scale: measure.diversity(measure.videos(sora, [PROMPT] * SAME, guidance=scale))
        for scale in GUIDANCE
    }


def plain(value: Any) -> Any:
    """JSON: an estimate as [value, low, high, count], rounded."""
    if isinstance(value, Estimate):
        return [*plain([value.value, value.low, value.high]), value.n]
    if isinstance(value, measure.Collisions | measure.Motion):
        value = vars(value)
    if isinstance(value, dict):
        if value.keys() == Estimate.__dataclass_fields__.keys():
            return plain(Estimate(**value))
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkpoint", help="name or folder")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--only", nargs="*", help="parts; default: all")
    parser.add_argument("--videos", type=int, default=VIDEOS, help="default: %(default)s")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="default: %(default)s")
    args = parser.parse_args()

    parts = figures(args.videos, args.prompts)
    if unknown := set(args.only or ()) - set(parts):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose {', '.join(parts)}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sora = hub.load(args.checkpoint).to(device).eval()
    found = {}
    for name in args.only or parts:
        found[name] = plain(parts[name](sora))
        print(name, json.dumps(found[name]), flush=True)
        if args.out:
            write_whole(args.out, json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
