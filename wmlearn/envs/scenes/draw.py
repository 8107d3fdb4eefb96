"""Pictures of scenes, with smooth edges; on whatever device the states are."""

from __future__ import annotations

import torch
from torch import Tensor

from wmlearn.envs.scenes.physics import BODIES, COLORS

BACKGROUND = (24, 24, 28)
BAR = (110, 110, 115)


def draw(state: Tensor, size: tuple[int, int] = (64, 64)) -> Tensor:
    """States ``[*, S]`` (see ``STATE_NAMES``) -> pictures uint8 ``[*, 3, H, W]``.

    A pixel is covered by the share that an edge leaves of it, to first order; where bodies overlap
    (they never do in true scenes), the later one is in front. The bar is in front of all.
    """
    flat = state.reshape(-1, state.shape[-1]).float()
    some = _AT_ONCE["cpu" if flat.device.type == "cpu" else "other"]
    pictures = torch.cat([_draw(part, *size) for part in flat.split(some)])
    return pictures.view(*state.shape[:-1], 3, *size)


_AT_ONCE = {"cpu": 64, "other": 16_384}  # pictures; on a processor, as many as its cache holds


def _draw(state: Tensor, height: int, width: int) -> Tensor:
    """``[N, S]`` -> ``[N, 3, H, W]``."""
    device = state.device
    y = torch.arange(height, device=device)[:, None] + 0.5
    x = torch.arange(width, device=device)[None] + 0.5
    palette = torch.tensor(list(COLORS.values()), dtype=torch.float32, device=device)
    ground = torch.tensor(BACKGROUND, dtype=torch.float32, device=device)
    picture = ground[:, None, None].repeat(len(state), 1, height, width)
    for body in state[:, :-2].view(len(state), BODIES, -1).unbind(1):
        rows = body[:, 0].nonzero().flatten()
        if not len(rows):
            continue
        bx, by, _, _, radius, color, shape = (
            part[:, None, None] for part in body[rows, 1:].unbind(1)
        )
        dx, dy = (x - bx).abs(), (y - by).abs()
        disc = (radius + 0.5 - (dx**2 + dy**2).sqrt()).clamp_(0, 1)
        square = (radius + 0.5 - dx).clamp(0, 1) * (radius + 0.5 - dy).clamp(0, 1)
        cover = torch.where(shape > 0.5, square, disc)[:, None]
        paint = palette[color.flatten().round().long()][:, :, None, None]
        picture[rows] = torch.lerp(picture[rows], paint, cover)
    rows = state[:, -1].nonzero().flatten()
    if len(rows):
        bar_x, bar_width = state[rows, -2, None], state[rows, -1, None]
        cover = (bar_width / 2 + 0.5 - (x - bar_x).abs()).clamp(0, 1)[:, None, None]
        bar = torch.tensor(BAR, dtype=torch.float32, device=device)[:, None, None]
        picture[rows] = torch.lerp(picture[rows], bar, cover)
    return picture.round_().byte()
