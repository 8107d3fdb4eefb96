"""A recording that is already encoded: noise, with a monster in three of its frames."""

import torch

from wmlearn.chapters.ch05_gamengen.ship_denoiser import Latents


def latents(lengths=(40,), channels=4, size=8):
    """Episodes of so many frames, one after the other."""
    count = sum(lengths)
    draw = torch.Generator().manual_seed(0)
    first = torch.cat([torch.full((n,), sum(lengths[:i])) for i, n in enumerate(lengths)])
    end = torch.cat([torch.full((n,), sum(lengths[: i + 1])) for i, n in enumerate(lengths)])
    enemies = torch.zeros(count, size, size, dtype=torch.bool)
    enemies[5:8, 2, 3] = True
    return Latents(
        torch.randn(count, channels, size, size, generator=draw).half(),
        torch.ones(count, size, size).half(),
        enemies,
        first,
        end,
        torch.randint(4, (count,), generator=draw),
        torch.randn(count, generator=draw).sign(),
        torch.zeros(count, dtype=torch.bool),
    )
