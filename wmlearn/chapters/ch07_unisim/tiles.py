"""BabyAI's pictures as numbers of tiles: a dictionary that is read off the recording.

A dream is vague; a room is not. So after each dreamed step the picture is *snapped*: a tile that
has not changed stays what it was, and one that has becomes the nearest tile of the dictionary.
Which tiles move, and which one a sentence names, the recording tells as well.

Legend: B rooms, K tiles of the dictionary, h x w places, S sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wmlearn.chapters.ch07_unisim.record import TILE, Recording
from wmlearn.envs.babyai import MOVES, SENTENCES

CHANGED = 1200.0  # mean squared difference of a tile's pixels, 0 to 255, from which it has changed


@dataclass(frozen=True)
class Dictionary:
    """The tiles of a recording.

    Attributes:
        looks: uint8 ``[K, 3, 8, 8]``.
        moving: int64 ``[M]``, the tiles that actions move; each frame shows one of them, once.
        named: int64 ``[S]``, the tile that a mission's sentence names; -1 for a move.
    """

    looks: Tensor
    moving: Tensor
    named: Tensor

    @classmethod
    def learn(cls, atlas: NDArray[np.uint8], recording: Recording) -> Dictionary:
        """What moves, and what is named, from a recording.

        What moves: a tile that appears where a frame differs from the one before it, and is nowhere
        there twice. What a mission names: the tile that is more often there when it is said than
        otherwise, by the largest margin.

        Args:
            atlas, recording: of ``record.load_tiles``.
        """
        looks = torch.from_numpy(atlas.copy()).permute(0, 3, 1, 2).contiguous()
        codes = torch.from_numpy(recording.frames[..., 0])
        kinds, last = len(looks), torch.from_numpy(np.cumsum(recording.lengths) - 1)
        goes_on = torch.ones(len(codes), dtype=torch.bool)
        goes_on[last] = False
        at = torch.nonzero(goes_on)[:, 0]
        appears = codes[at + 1][codes[at + 1] != codes[at]].long().bincount(minlength=kinds) > 0
        counts = torch.stack([(codes == k).flatten(1).sum(1) for k in range(kinds)], 1)
        moving = torch.nonzero(appears & (counts.amax(0) == 1))[:, 0]
        there, said = (counts > 0).float(), torch.from_numpy(recording.actions)
        named = torch.full((len(SENTENCES),), -1)
        for mission in range(len(MOVES), len(SENTENCES)):
            rows = goes_on & (said == mission)
            if rows.any():
                named[mission] = (there[rows].mean(0) - there.mean(0)).argmax()
        return cls(looks, moving, named)

    def draw(self, codes: Tensor) -> Tensor:
        """uint8 ``[B, h, w]`` -> frames uint8 ``[B, 3, 8 h, 8 w]``."""
        tiles = self.looks[codes.long()]  # [B, h, w, 3, 8, 8]
        return tiles.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)

    def distances(self, frames: Tensor) -> Tensor:
        """Mean squared difference of each place from each tile: ``[B, h, w, K]``."""
        x = frames.float().unfold(2, TILE, TILE).unfold(3, TILE, TILE)
        x = x.permute(0, 2, 3, 1, 4, 5).flatten(3)
        looks = self.looks.flatten(1).float()
        squares = x.square().sum(-1, keepdim=True) + looks.square().sum(1)
        return (squares - 2 * x @ looks.mT) / looks.shape[1]

    def read(self, frames: Tensor) -> Tensor:
        """uint8 or float ``[B, 3, H, W]`` -> uint8 ``[B, h, w]``, the nearest tiles."""
        return self.distances(frames).argmin(-1).to(torch.uint8)

    def snapped(self, codes: Tensor, now: Tensor, after: Tensor) -> Tensor:
        """The tiles after a dreamed step.

        Args:
            codes: uint8 ``[B, h, w]``, before it.
            now: ``[B, 3, H, W]``, 0 to 255, that room as the autoencoder draws it.
            after: ``[B, 3, H, W]``, what was dreamed.

        Returns:
            uint8 ``[B, h, w]``: what has not changed as it was; what moves at the one place where
            its look explains the most; elsewhere the nearest tile that does not move.
        """
        change = F.avg_pool2d((after - now).square().mean(1, keepdim=True), TILE)[:, 0]
        still = self.distances(after)
        moving = still[..., self.moving]
        still[..., self.moving] = torch.inf
        least, nearest = still.min(-1)
        new = (change > CHANGED) | torch.isin(codes.long(), self.moving)
        result = torch.where(new, nearest.to(torch.uint8), codes).flatten(1)
        best = (least[..., None] - moving).flatten(1).argmax(1)
        place, which = best // len(self.moving), best % len(self.moving)
        result[torch.arange(len(result)), place] = self.moving[which].to(torch.uint8)
        return result.view_as(codes)
