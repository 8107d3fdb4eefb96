"""The argument for predicting features, as an experiment with a known answer.

LeCun (2022), section 4: a model that must account for every pixel spends its capacity on details.
Here a disc moves in one of four directions over a ground that is either noise, which is loud and
unpredictable, or clouds, which are loud and predictable. The direction is all there is to know. The
same small transformer is trained once to predict features and once to predict pixels, with the same
clips, masks and steps, and a probe is trained to classify the direction.
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
COARSE = 4  # clouds along each side

SMALL = VJEPAConfig(
    encoder=EncoderConfig(image_size=SIZE, patch_size=8, frames=FRAMES, dim=48, depth=3, heads=4),
    predictor=PredictorConfig(dim=32, depth=2, heads=2),
    masks=(MaskConfig(blocks=2, scale=0.4, hidden=0.5, visible=0.4),),
    ema=0.98,
    learning_rate=2e-3,
    warmup_steps=20,
    max_steps=1,
)


def draw_clips(
    count: int, distraction: float, generator: torch.Generator, predictable: bool = False
) -> tuple[Clip, Tensor]:
    """Clips uint8 ``[count, 8, 3, 32, 32]`` and the number of the disc's direction ``[count]``.

    Args:
        count: how many.
        distraction: its standard deviation, in units of the disc's brightness (0: none).
        generator: of all that is random.
        predictable: clouds, which the places around a hidden one tell something about; else
            flicker, which nothing tells anything about.
    """
    label = torch.randint(len(DIRECTIONS), (count,), generator=generator)
    step = SPEED * torch.tensor(DIRECTIONS)[label].float()
    start = SIZE * torch.rand(count, 2, generator=generator)
    place = start[:, None] + step[:, None] * torch.arange(FRAMES)[:, None]  # [count, T, 2]
    axis = torch.arange(SIZE)
    away = (axis - place[..., None] + SIZE / 2) % SIZE - SIZE / 2  # the edges meet
    distance = (away[:, :, 0, :, None].square() + away[:, :, 1, None, :].square()).sqrt()
    disc = (RADIUS + 0.5 - distance).clamp(0, 1)[:, :, None]
    ground = (clouds if predictable else flicker)(count, generator)
    frames = 96 + 64 * disc + 64 * distraction * ground
    return Clip(frames.clamp(0, 255).to(torch.uint8)), label


def flicker(count: int, generator: torch.Generator) -> Tensor:
    """Blocks of noise, a new one at every place and time: ``[count, T, 3, H, W]``."""
    side = SIZE // BLOCK
    noise = torch.randn(count * FRAMES, 3, side, side, generator=generator)
    return F.interpolate(noise, scale_factor=BLOCK).unflatten(0, (count, FRAMES))


def clouds(count: int, generator: torch.Generator) -> Tensor:
    """Smooth patches of color ``[count, T, 3, H, W]``, of unit variance like the flicker.

    Each frame's correlate with the last one's by 0.5, like the detail in the chapter's section 2.1.
    """
    fresh = torch.randn(FRAMES, count, 3, COARSE, COARSE, generator=generator)
    frames = [fresh[0]]
    for noise in fresh[1:]:
        frames.append(0.5 * frames[-1] + 0.75**0.5 * noise)
    coarse = torch.stack(frames, dim=1).flatten(0, 1)
    smooth = F.interpolate(coarse, size=SIZE, mode="bilinear")
    return (smooth / smooth.std()).unflatten(0, (count, FRAMES))


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
