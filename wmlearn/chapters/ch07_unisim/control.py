"""Do the three formats steer? PSNR under the true actions, beside another clip's.

Legend: B clips, N frames ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.data.clip import Clip
from wmlearn.evaluation.controllability import derangement
from wmlearn.metrics import Estimate, mean_estimate, psnr
from wmlearn.systems.unisim.system import UniSim
from wmlearn.world import World

CONTEXT, AHEAD = 4, 8


@dataclass(frozen=True)
class Control:
    """What is known of one domain's actions, at one horizon; PSNR in dB.

    Attributes:
        horizon: N, frames ahead.
        true: under the true actions.
        other: under those of another clip.
        delta: the difference, clip by clip.
        copy: of the last real frame.
    """

    horizon: int
    true: Estimate
    other: Estimate
    delta: Estimate
    copy: Estimate


def told(estimate: Estimate) -> dict:
    """An estimate as JSON values."""
    known = {k: getattr(estimate, k) for k in ("value", "low", "high")}
    return {k: round(float(v), 4) for k, v in known.items() if v is not None}


def held_out_clips(
    mixture: Mixture, domain: str, count: int, length: int, seed: int = 0
) -> tuple[Clip, Tensor]:
    """Whole clips of episodes that were never trained on, and the number of each one's episode."""
    generator = torch.Generator(mixture.device).manual_seed(seed)
    batch = mixture.draw(count, length, generator, held_out=True, shares={domain: 1.0}, whole=True)
    return mixture.clip(batch), mixture.episode[batch.index[:, 0]]


@torch.inference_mode()
def dream(world: World, clip: Clip, actions: Tensor, seed: int = 0) -> Tensor:
    """What the world shows after ``CONTEXT`` real frames: uint8 ``[B, N, C, H, W]``."""
    generator = torch.Generator().manual_seed(seed)
    state, frames = world.reset(clip.time(0, CONTEXT)), []
    for t in range(CONTEXT - 1, clip.length - 1):
        state, step = world.step(state, actions[:, t], generator)
        frames.append(step.frame)
    return torch.stack(frames, 1)


def control(
    world: World, clip: Clip, episode: Tensor, horizons: tuple[int, ...] = (1, 4, 8), seed: int = 0
) -> tuple[list[Control], Tensor]:
    """Measures a world on held-out clips of ``CONTEXT`` + N frames, N >= the last horizon.

    Returns:
        One :class:`Control` a horizon, and the dreams under the true actions.
    """
    other = derangement(len(clip), seed).to(clip.frames.device)
    target = clip.frames[:, CONTEXT:]
    drawn = dream(world, clip, clip.actions, seed)
    mixed = clip.actions.clone()
    mixed[:, CONTEXT - 1 :] = clip.actions[other][:, CONTEXT - 1 :]
    scores = [psnr(x, target).cpu() for x in (drawn, dream(world, clip, mixed, seed))]
    copy = psnr(clip.frames[:, CONTEXT - 1 : CONTEXT].expand_as(target), target).cpu()
    found = []
    for horizon in horizons:
        true, wrong, still = (score[:, horizon - 1] for score in (*scores, copy))
        estimates = [mean_estimate(x, episode) for x in (true, wrong, true - wrong, still)]
        found.append(Control(horizon, *estimates))
    return found, drawn


def measure(
    model: UniSim, mixture: Mixture, count: int = 128, sampler: dict | None = None
) -> tuple[dict[str, list[Control]], dict[str, Tensor]]:
    """Every domain that has actions: what steers it, and a strip of real frames over dreams.

    Returns:
        Both by the domain's name; strips are uint8 ``[rows, columns, C, H, W]``.
    """
    found, strips = {}, {}
    for domain in model.config.domains:
        if domain.format == "none":
            continue
        clip, episode = held_out_clips(mixture, domain.name, count, CONTEXT + AHEAD)
        world = model.world({"domain": domain.name, **(sampler or {})})
        found[domain.name], drawn = control(world, clip, episode)
        rows = [x for i in range(4) for x in (clip.frames[i, CONTEXT:], drawn[i])]
        strips[domain.name] = torch.stack(rows).cpu()
    return found, strips


def picture(strips: dict[str, Tensor]) -> Image.Image:
    """All strips under each other, as one picture."""
    rows = torch.cat(list(strips.values()))
    grid = rows.permute(0, 3, 1, 4, 2).reshape(rows.shape[0] * rows.shape[3], -1, rows.shape[2])
    return Image.fromarray(np.ascontiguousarray(grid.numpy()))
