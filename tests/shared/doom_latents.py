"""A recording that is already encoded: noise, with a monster in three of its frames."""

import torch

from wmlearn.chapters.ch05_gamengen.ship_denoiser import Latents


def latents(count=40, channels=4, size=8):
    draw = torch.Generator().manual_seed(0)
    enemies = torch.zeros(count, size, size, dtype=torch.bool)
    enemies[5:8, 2, 3] = True
    return Latents(
        torch.randn(count, channels, size, size, generator=draw).half(),
        torch.ones(count, size, size).half(),
        enemies,
        torch.zeros(count, dtype=torch.long),
        torch.full((count,), count),
        torch.randint(4, (count,), generator=draw),
        torch.zeros(count),
        torch.zeros(count, dtype=torch.bool),
    )
