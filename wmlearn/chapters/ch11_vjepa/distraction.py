"""The argument for predicting features, as an experiment with a known answer.

LeCun (2022), section 4: a model that must account for every pixel spends itself on detail that
nobody can predict. Here a disc moves in one of four directions over a ground of flickering blocks.
The direction is all there is to know; the flicker is noise. The same small transformer learns
once to fill in features and once to fill in pixels, with the same clips, masks and steps, and then
a probe is asked for the direction.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.data.clip import Clip
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
    optimization = system.configure_optimizers()
    optimizer, schedule = optimization["optimizer"], optimization["lr_scheduler"]["scheduler"]
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
