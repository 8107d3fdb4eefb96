"""A V-JEPA as the judge of what cannot be: surprise in features instead of pixels.

Garrido et al. 2025 (*Intuitive physics understanding emerges from self-supervised pretraining on
natural videos*): the encoder sees the beginning, the predictor guesses the features of the rest,
and the L1 distance to the features that the rest really has is the surprise.

    python -m wmlearn.chapters.ch06_sora.vjepa_judge --out vjepa.json

trains one on new clips of all families, and shows it the pairs that the card's figures are about.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn.chapters.ch06_sora.measure import Scene, broken, scene
from wmlearn.envs.scenes import draw, sample_scenes, simulate
from wmlearn.envs.scenes.violations import GROSS, SUBTLE
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.systems.vjepa.collapse import vicreg
from wmlearn.systems.vjepa.config import EncoderConfig, PredictorConfig, VJEPAConfig
from wmlearn.systems.vjepa.encoder import normalize, take
from wmlearn.systems.vjepa.system import VJEPA

CONFIG = VJEPAConfig(
    encoder=EncoderConfig(
        image_size=64, patch_size=8, frames=16, tubelet_size=2, dim=128, depth=4, heads=4
    ),
    predictor=PredictorConfig(dim=64, depth=3, heads=4),
    ema=0.99,
    regularizer="vicreg",
    regularizer_weight=0.003,
)
"""Tubelets of 2 frames, so that a beginning ends between two of them."""
TOKENS = 1024  # of a batch, for the spread of features
PAST = (2, 3)  # tubelets that the judge sees


def beginning(system: VJEPA, batch: int, past: int) -> tuple[Tensor, Tensor]:
    """The tubelets of the first ``past`` times, and the others: int64 ``[batch, *]`` each."""
    _, rows, columns = system.config.encoder.grid
    places = torch.arange(system.config.encoder.tokens, device=system.device)
    return tuple(part.expand(batch, -1) for part in places.tensor_split([past * rows * columns]))


@torch.no_grad()
def surprise(system: VJEPA, frames: Tensor, past: int) -> Tensor:
    """L1 distance of the guessed and the true features of all that follows: ``[N]``."""
    parts = []
    for part in frames.to(system.device).split(32):
        patches = system.encoder.cut(normalize(part))
        seen, rest = beginning(system, len(part), past)
        with torch.autocast(system.device.type, torch.bfloat16):
            guess, target = system.guess(patches, seen, rest), take(system.target(patches), rest)
        parts.append((guess.float() - target.float()).abs().mean((1, 2)).cpu())
    return torch.cat(parts)


def preferences(system: VJEPA, real: Scene, past: int, at: int = 7) -> dict[str, Estimate]:
    """Violation -> share of pairs in which the true video surprises less."""
    found = {}
    for name, law in {**GROSS, **SUBTLE}.items():
        wrong, differs = broken(real, law, at)
        if differs.any():
            gap = surprise(system, wrong[differs], past)
            gap = gap - surprise(system, real.frames[differs], past)
            found[name] = mean_estimate((gap > 0).double())
    return found


def train(
    frames: Tensor, seconds: float, batch: int, config: VJEPAConfig = CONFIG
) -> tuple[VJEPA, int]:
    """A V-JEPA that guesses what follows after two to four tubelets; and its steps.

    Args:
        frames: uint8 ``[N, T, 3, H, W]``, on the device to train on.
        seconds: how long.
        batch: B.
        config: its sizes.
    """
    device, system = frames.device, VJEPA(config).to(frames.device)
    parameters = [*system.encoder.parameters(), *system.predictor.parameters()]
    optimizer = torch.optim.AdamW(parameters, 1e-3, betas=(0.9, 0.98), weight_decay=0.04)
    clock = time.process_time if device.type == "cpu" else time.monotonic
    rng, began, step = np.random.default_rng(0), clock(), 0
    while (passed := (clock() - began) / seconds) < 1:
        rise, fall = min(1, (step + 1) / 30), 1 if passed < 0.4 else max(0.01, (1 - passed) / 0.6)
        optimizer.param_groups[0]["lr"] = 1e-3 * rise * fall
        rows = torch.randint(len(frames), (batch,), device=device)
        patches = system.encoder.cut(normalize(frames[rows]))
        visible, rest = beginning(system, batch, int(rng.integers(2, 5)))
        with torch.autocast(device.type, torch.bfloat16):
            target = take(system.target(patches), rest)
            features = system.encoder.encode(patches, visible)
            guess = system.fill_in(features, visible, rest, 0)
            loss = (guess.float() - target.float()).abs().mean()
            spread = features.flatten(0, 1).float()
            spread = vicreg(spread[:: max(1, len(spread) // TOKENS)])
            loss = loss + config.regularizer_weight * spread
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        system.update_target()
        step += 1
        if step % 20 == 0 and device.type == "cuda":
            torch.cuda.synchronize()
    return system.eval(), step


def train_and_judge(frames: Tensor, pairs: Scene, seconds: float, batch: int) -> dict:
    """A row of the ablation."""
    shape = replace(CONFIG.encoder, image_size=frames.shape[-1], frames=frames.shape[1])
    system, steps = train(frames, seconds, batch, replace(CONFIG, encoder=shape))
    row: dict = {"steps": steps, "seconds": seconds}
    for past in PAST:
        row[f"likelihood, {2 * past} frames"] = preferences(system, pairs, past)
    return row


def main() -> None:
    from wmlearn.chapters.ch06_sora.figures import VIDEOS, plain

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--videos", type=int, default=VIDEOS, help="pairs; default: %(default)s")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()

    scenes = sample_scenes(args.clips, np.random.default_rng([19, 800_000]), "all")
    states, _ = simulate(scenes, CONFIG.encoder.frames)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    frames = draw(torch.from_numpy(states).to(device))
    row = plain(train_and_judge(frames, scene("hit", args.videos), args.seconds, args.batch))
    text = json.dumps({"clips": args.clips, "batch": args.batch} | row, indent=2)
    print(text)
    if args.out:
        write_whole(args.out, text + "\n")


if __name__ == "__main__":
    main()
