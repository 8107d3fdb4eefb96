"""The chapter's judge: is a dream of DOOM sharp, are monsters and numbers where they belong?

Everything is read off pictures, with instruments that were made from real frames and the engine's
own labels (``HUD_STATE`` of ``wmlearn.envs.doom``), and whose error on real frames is printed
beside.
Shapes: B clips, T frames, uint8 pictures ``[B, T, 3, 64, 64]``; the status bar is rows 48 to 63.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.envs.doom import HUD_STATE, MAX_ENEMIES

VIEW = 48  # rows above the status bar
CELL = 4  # pixels of a cell of the finder's map
NEAR = 6.0  # pixels: a monster is in its place if it is found as near to the label
TALL = 5.0  # pixels: lower monsters are left out, as they are a speck even in real frames
AMMO, HEALTH = HUD_STATE.index("ammo"), HUD_STATE.index("health")


# --- sharpness ---------------------------------------------------------------------------------


def gradient(frames: Tensor) -> Tensor:
    """Mean absolute difference between neighbouring pixels, in 8-bit levels: ``[...]``."""
    x = frames.float()
    across = (x[..., 1:] - x[..., :-1]).abs().mean((-1, -2, -3))
    down = (x[..., 1:, :] - x[..., :-1, :]).abs().mean((-1, -2, -3))
    return across + down


def flicker(frames: Tensor, still: Tensor) -> Tensor:
    """Mean absolute change per pixel and step where nothing should move, in 8-bit levels: a number.

    Args:
        frames: ``[B, T, 3, H, W]``.
        still: bool ``[B, T - 1, 1, H, W]``, where the real frames do not change.
    """
    change = (frames[:, 1:].float() - frames[:, :-1].float()).abs()
    still = still.expand_as(change)
    return change[still].mean()


def still_pixels(frames: Tensor, least: int = 8) -> Tensor:
    """bool ``[B, T - 1, 1, H, W]``: pixels that change by less than ``least`` levels."""
    change = (frames[:, 1:].short() - frames[:, :-1].short()).abs()
    return (change < least).all(dim=2, keepdim=True)


# --- numbers of the status bar -----------------------------------------------------------------


class HudReader:
    """Reads ammunition and health: the value whose mean picture in real frames is the nearest.

    Args:
        frames: uint8 ``[N, 3, 64, 64]``, real ones.
        state: float ``[N, S]``, what the engine knew.
    """

    _PLACES = {"ammo": (AMMO, slice(0, 26)), "health": (HEALTH, slice(26, 64))}

    def __init__(self, frames: Tensor, state: Tensor) -> None:
        self._means: dict[str, tuple[Tensor, Tensor]] = {}
        for name, (column, place) in self._PLACES.items():
            crops = frames[:, :, VIEW:, place].float().flatten(1)
            values, index = state[:, column].round().unique(return_inverse=True)
            sums = torch.zeros(len(values), crops.shape[1]).index_add_(0, index, crops)
            self._means[name] = values, sums / index.bincount()[:, None]

    def read(self, frames: Tensor) -> dict[str, Tensor]:
        """``ammo`` and ``health``, float ``[...]``, of uint8 frames ``[..., 3, 64, 64]``."""
        flat = frames.flatten(0, -4)
        found = {}
        for name, (_, place) in self._PLACES.items():
            values, means = self._means[name]
            crops = flat[:, :, VIEW:, place].float().flatten(1)
            found[name] = values[torch.cdist(crops, means).argmin(1)].view(frames.shape[:-3])
        return found


# --- monsters ----------------------------------------------------------------------------------


def enemies(state: Tensor) -> tuple[Tensor, Tensor]:
    """The engine's labels: centres in pixels ``[..., 5, 2]`` (x, y), and which of them count.

    Those count whose centre is in the view and that are at least ``TALL`` pixels tall.
    """
    first = HUD_STATE.index("enemy0_x")
    boxes = state[..., first : first + 4 * MAX_ENEMIES].unflatten(-1, (MAX_ENEMIES, 4)) * 64
    x, y, _, height = boxes.unbind(-1)
    seen = (height >= TALL) & (x > 1) & (x < 63) & (y > 0) & (y < VIEW)
    return boxes[..., :2], seen


class EnemyFinder(nn.Module):
    """Where monsters are: a map of cells of 4 x 4 pixels, and where in the cell the centre lies."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2), nn.SiLU(),
            nn.Conv2d(2 * width, 3, 1),
        )  # fmt: skip

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, 3, 64, 64]`` -> ``[B, 3, 12, 16]``: logit, and offset in cells."""
        return self.layers(frames[:, :, :VIEW].float() / 127.5 - 1)

    def loss(self, frames: Tensor, state: Tensor) -> Tensor:
        """Cross-entropy of the map and error of the offsets, for labelled frames."""
        centres, seen = enemies(state)
        rows, columns = VIEW // CELL, 64 // CELL
        cell = (centres / CELL).long()
        place = cell[..., 1].clamp(0, rows - 1) * columns + cell[..., 0].clamp(0, columns - 1)
        target = torch.zeros(len(frames), rows * columns)
        target.scatter_reduce_(1, place, seen.float(), "amax")
        output = self(frames).flatten(2)
        found = F.binary_cross_entropy_with_logits(
            output[:, 0], target, pos_weight=torch.tensor(3.0)
        )
        offsets = output[:, 1:].gather(2, place[:, None].expand(-1, 2, -1)).mT
        error = (offsets - (centres / CELL - cell - 0.5)).abs().sum(-1)
        return found + 0.1 * (error * seen).sum() / seen.sum().clamp(min=1)

    @torch.inference_mode()
    def find(self, frames: Tensor, least: float = 0.5) -> list[np.ndarray]:
        """The centres (x, y) in pixels, ``[n, 2]``, of each frame's monsters.

        A cell counts if it is the likeliest among its neighbours and likelier than ``least``.
        """
        output = self(frames)
        likely = output[:, 0].sigmoid()
        peak = (likely >= F.max_pool2d(likely[:, None], 3, 1, 1)[:, 0]) & (likely > least)
        found = []
        for b in range(len(frames)):
            row, column = peak[b].nonzero(as_tuple=True)
            dx, dy = output[b, 1:, row, column]
            x, y = (column + 0.5 + dx) * CELL, (row + 0.5 + dy) * CELL
            found.append(torch.stack([x, y], -1).numpy())
        return found


def train_finder(frames: Tensor, state: Tensor, steps: int = 1500, seed: int = 0) -> EnemyFinder:
    """An :class:`EnemyFinder` from real frames uint8 ``[N, 3, 64, 64]`` and the engine's labels.

    Half of a batch shows monsters; pictures are blurred or grainy now and then, so that the finder
    looks for monsters, and does not fail because a dream is softer than the engine.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    finder = EnemyFinder()
    optimizer = torch.optim.AdamW(finder.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with_some = enemies(state)[1].any(-1).nonzero()[:, 0]
    for _ in range(steps):
        some = with_some[torch.randint(len(with_some), (16,), generator=generator)]
        others = torch.randint(len(frames), (16,), generator=generator)
        chosen = torch.cat([some, others])
        x = frames[chosen].float()
        soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        share = torch.rand(len(x), 1, 1, 1, generator=generator)
        x = torch.where(share < 0.5, x, x + (2 * share - 1) * 0.7 * (soft - x))
        x = x + 8 * torch.rand(len(x), 1, 1, 1, generator=generator) * torch.randn(
            x.shape, generator=generator
        )
        loss = finder.loss(x.clamp(0, 255), state[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return finder.eval()


def in_place(finder: EnemyFinder, frames: Tensor, state: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Of each clip's true monsters, how many are found in their place, and how many there are: [B].

    A found monster answers for one label at most, the nearest first.

    Args:
        frames: uint8 ``[B, 3, 64, 64]``, dreamed or real.
        state: float ``[B, S]``, what the engine knew at that time under the same actions.
    """
    centres, seen = enemies(state)
    right = np.zeros(len(frames))
    for b, found in enumerate(finder.find(frames)):
        true = centres[b][seen[b]].numpy()
        distance = np.linalg.norm(true[:, None] - found[None], axis=-1)
        while distance.size and distance.min() <= NEAR:
            i, j = np.unravel_index(distance.argmin(), distance.shape)
            distance[i], distance[:, j] = np.inf, np.inf
            right[b] += 1
    return right, seen.sum(-1).numpy().astype(float)
