"""Real rooms beside dreamed ones: the same sentences for both, and where the triangle stands.

Legend: B rooms, T steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES, BabyAIEnv
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.system import UniSim
from wmlearn.systems.unisim.world import UniSimWorld

TILE = 8


class Room:
    """A real room that goes on after its own mission is done.

    Args:
        seed: of its episode.
    """

    def __init__(self, seed: int) -> None:
        self.env: BabyAIEnv = make("babyai/go-to-local").unwrapped
        self.frame, _ = self.env.reset(seed=seed)

    def say(self, sentence: int) -> NDArray[np.uint8]:
        """The frame after one step of what a sentence asks for."""
        move, game = self.env.next_move(sentence), self.env._game
        game.step(game.actions.done if move is None else move)
        self.frame = self.env._observe()
        return self.frame

    @property
    def pose(self) -> tuple[int, int, int]:
        """x, y and direction of the triangle."""
        return self.env._pose()

    def steps_to(self, mission: int) -> int:
        """Moves that a shortest way to a mission's thing still takes; 99 where there is none."""
        way = self.env.way(mission)
        return 99 if way is None else len(way)


@dataclass(frozen=True)
class PoseReader:
    """Finds the triangle in a picture by its four looks.

    Attributes:
        looks: float32 ``[4, 3, 8, 8]``, one for each direction.
    """

    looks: Tensor

    @classmethod
    @torch.inference_mode()
    def learn(cls, model: UniSim, rooms: int = 24) -> PoseReader:
        """From real rooms as the model's autoencoder draws them; the pose is known there."""
        sums, counts = torch.zeros(4, 3, TILE, TILE), torch.zeros(4)
        for seed in range(rooms):
            room = Room(seed)
            for _ in range(4):
                x, y, turn = room.pose
                frame = torch.from_numpy(room.frame.copy()).permute(2, 0, 1)[None]
                frame = to_uint8(model.decode(model.encode(frame[None])[0]))[0].float()
                sums[turn] += frame[:, TILE * y : TILE * (y + 1), TILE * x : TILE * (x + 1)]
                counts[turn] += 1
                room.say(0)
        return cls(sums / counts.view(4, 1, 1, 1))

    def __call__(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, 3, 64, 64]`` -> int64 ``[B, 3]``: x, y and direction of the best match."""
        side = frames.shape[-1] // TILE
        tiles = frames.float().unfold(2, TILE, TILE).unfold(3, TILE, TILE)
        tiles = tiles.permute(0, 2, 3, 1, 4, 5).flatten(3)  # [B, y, x, 192]
        error = (tiles[:, :, :, None] - self.looks.flatten(1)).square().mean(-1)
        best = error.flatten(1).argmin(1)
        place, turn = best // 4, best % 4
        return torch.stack([place % side, place // side, turn], 1)


def clip_of(rooms: list[Room]) -> Clip:
    """What the rooms show now, as a clip of one frame each."""
    frames = np.stack([room.frame for room in rooms])
    return Clip(torch.from_numpy(frames).permute(0, 3, 1, 2)[:, None].contiguous())


@torch.inference_mode()
def dream_along(
    world: UniSimWorld, rooms: list[Room], sentences: Tensor, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Says the same to real and dreamed rooms.

    Args:
        world: of sentences.
        rooms: B real ones; they move.
        sentences: int64 ``[B, T]``.
        seed: of the dreams.

    Returns:
        Dreamed and real frames, uint8 ``[B, T, 3, 64, 64]``, and the real poses ``[B, T, 3]``.
    """
    generator = torch.Generator().manual_seed(seed)
    state, dreams, reals, poses = world.reset(clip_of(rooms)), [], [], []
    for t in range(sentences.shape[1]):
        state, step = world.step(state, sentences[:, t], generator)
        said = zip(rooms, sentences[:, t].tolist(), strict=True)
        frames = np.stack([room.say(sentence) for room, sentence in said])
        dreams.append(step.frame)
        reals.append(torch.from_numpy(frames).permute(0, 3, 1, 2))
        poses.append(torch.tensor([room.pose for room in rooms]))
    return torch.stack(dreams, 1), torch.stack(reals, 1), torch.stack(poses, 1)


def some_missions(room: Room, count: int, rng: np.random.Generator) -> list[int]:
    """Missions that can be fulfilled in a room, one after the other, no two the same in a row."""
    possible = [m for m in room.env.possible() if m >= len(MOVES)]
    picks = [int(x) for x in rng.permutation(possible)]
    return (picks * count)[:count]


def absent_mission(room: Room, rng: np.random.Generator) -> int:
    """A mission whose thing is not in the room."""
    missing = [m for m in range(len(MOVES), 21) if not room.env.places(m)]
    return int(rng.choice(missing))
