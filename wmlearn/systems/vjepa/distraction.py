"""The argument for predicting features, as an experiment with a known answer.

LeCun (2022), section 4: a model that must account for every pixel spends itself on detail that
nobody can predict. Here a disc moves in one of four directions over a ground of flickering blocks.
The direction is all there is to know; the flicker is noise. The same small transformer learns
once to fill in features and once to fill in pixels, with the same clips, masks and steps, and then
a probe is asked for the direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.evaluate.probe import fit_probe
from wmlearn.systems.vjepa.config import EncoderConfig, MaskConfig, PredictorConfig, VJEPAConfig
from wmlearn.systems.vjepa.system import VJEPA

FRAMES, SIZE, RADIUS, SPEED = 8, 32, 4.0, 2.0
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # right, left, down, up
BLOCK = 2  # pixels of a flickering block

SMALL = VJEPAConfig(
    encoder=EncoderConfig(image_size=SIZE, patch_size=8, frames=FRAMES, dim=48, depth=3, heads=4),
    predictor=PredictorConfig(dim=32, depth=2, heads=2),
    masks=(MaskConfig(blocks=2, scale=0.4, hidden=0.5, visible=0.4),),
    ema=0.98,
    learning_rate=2e-3,
    warmup_steps=20,
    max_steps=1,
)


def draw_clips(count: int, distraction: float, generator: torch.Generator) -> tuple[Clip, Tensor]:
    """Clips uint8 ``[count, 8, 3, 32, 32]`` and the number of the disc's direction ``[count]``.

    Args:
        count: how many.
        distraction: standard deviation of the flicker, in units of the disc's brightness (0: none).
        generator: of all that is random.
    """
    label = torch.randint(len(DIRECTIONS), (count,), generator=generator)
    step = SPEED * torch.tensor(DIRECTIONS)[label].float()
    start = SIZE * torch.rand(count, 2, generator=generator)
    place = start[:, None] + step[:, None] * torch.arange(FRAMES)[:, None]  # [count, T, 2]
    axis = torch.arange(SIZE)
    away = (axis - place[..., None] + SIZE / 2) % SIZE - SIZE / 2  # the edges meet
    distance = (away[:, :, 0, :, None].square() + away[:, :, 1, None, :].square()).sqrt()
    disc = (RADIUS + 0.5 - distance).clamp(0, 1)[:, :, None]
    side = SIZE // BLOCK
    flicker = torch.randn(count * FRAMES, 3, side, side, generator=generator)
    flicker = F.interpolate(flicker, scale_factor=BLOCK).unflatten(0, (count, FRAMES))
    frames = 96 + 64 * disc + 64 * distraction * flicker
    return Clip(frames.clamp(0, 255).to(torch.uint8)), label


def train(config: VJEPAConfig, clips: Clip, steps: int, batch_size: int = 32) -> VJEPA:
    """A plain training loop, for experiments that are too small for a Trainer."""
    system = VJEPA(replace(config, max_steps=steps))
    optimisation = system.configure_optimizers()
    optimizer, schedule = optimisation["optimizer"], optimisation["lr_scheduler"]["scheduler"]
    generator = torch.Generator().manual_seed(config.seed)
    for step in range(steps):
        rows = torch.randint(len(clips), (batch_size,), generator=generator)
        loss = sum(system.losses(clips[rows], step).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        system.update_target()
    return system.eval()


def compare(
    levels: Sequence[float] = (0.0, 1.0, 2.0),
    steps: int = 300,
    clips: int = 1024,
    seed: int = 0,
    config: VJEPAConfig = SMALL,
) -> dict[str, list[float]]:
    """Probe accuracy, 0 to 1, at each level of distraction; guessing gives 0.25.

    Args:
        levels: of distraction, see :func:`draw_clips`; training and test clips have the same.
        steps: of training.
        clips: to train encoder and probe on; a quarter as many test the probe.
        seed: of everything.
        config: of both systems.

    Returns:
        Accuracies by name: ``features``, ``pixels`` and ``random`` (an untrained encoder).
    """
    scores: dict[str, list[float]] = {"features": [], "pixels": [], "random": []}
    for level in levels:
        generator = torch.Generator().manual_seed(seed)
        known, labels = draw_clips(clips, level, generator)
        new, truth = draw_clips(clips // 4, level, generator)
        config = replace(config, seed=seed)
        for name in scores:
            predict = "pixels" if name == "pixels" else "features"
            trained = train(
                replace(config, predict=predict), known, 0 if name == "random" else steps
            )
            features = trained.features(known), trained.features(new)
            score = fit_probe((features[0], labels), (features[1], truth), epochs=10, seed=seed)
            scores[name].append(score.accuracy)
    return scores
