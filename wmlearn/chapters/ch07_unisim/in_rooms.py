"""A policy for BabyAI's rooms that is trained inside, and what it does in real rooms.

The reward is read off the recording: how many steps a mission that was said took. It is a network
on tiles that is read where the triangle stands, like a value-iteration network (Tamar et al. 2016):
its convolutions carry from place to place how far it is. A search dreams each of the three moves,
snaps what it has dreamed to tiles, and asks that network; a policy imitates what the search would
do. A second network, of other episodes, is the judge. No move of the recording reaches the policy.

Legend: B rooms, G missions, M = 3 moves, K tiles, h x w places.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.chapters.ch07_unisim.policies import descend, repeated, within_seconds
from wmlearn.chapters.ch07_unisim.real import SEED
from wmlearn.chapters.ch07_unisim.record import Recording
from wmlearn.chapters.ch07_unisim.tiles import Dictionary
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.world import UniSimWorld

DONE = 0.5  # fewer steps left than this: the mission is done
SHARPNESS = 0.3  # steps that make one move e times as likely as another
BATCH = 256  # of all training here

Actor = Callable[[Tensor, Tensor], Tensor]
"""From tiles ``[B, h, w]`` and the named ones ``[B]`` to moves ``[B]``."""


class RoomReader(nn.Module):
    """Tiles, and the one that is named, to numbers that are read where the triangle stands.

    Args:
        moving: int64, the tiles that are the triangle.
        outputs: 1 for steps, 3 for moves.
        kinds: K.
        width, layers: of the convolutions; how far the triangle sees is as many tiles.
    """

    def __init__(
        self, moving: Tensor, outputs: int, kinds: int, width: int = 32, layers: int = 8
    ) -> None:
        super().__init__()
        self.kinds = kinds
        self.register_buffer("moving", moving, persistent=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width if i else kinds + 1, width, 3, padding=1) for i in range(layers)
        )
        self.head = nn.Sequential(nn.Linear(width, 64), nn.SiLU(), nn.Linear(64, outputs))

    def forward(self, codes: Tensor, named: Tensor) -> Tensor:
        """``[B, outputs]``.

        Args:
            codes: uint8 ``[B, h, w]``, tiles.
            named: int64 ``[B]``, the tile of the thing that the mission names.
        """
        codes = codes.long()
        x = F.one_hot(codes, self.kinds).movedim(-1, 1).float()
        wanted = (codes == named[:, None, None])[:, None].float()
        x = torch.cat([x, wanted], 1).contiguous(memory_format=torch.channels_last)
        fast = bfloat16_is_fast(x.device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=fast):
            for i, layer in enumerate(self.convolutions):
                x = F.silu(layer(x)) + x if i else F.silu(layer(x))
        here = torch.isin(codes, self.moving)[:, None]
        return self.head((x.float() * here).sum((2, 3)))


@torch.inference_mode()
def steps_left(model: RoomReader, codes: Tensor, named: Tensor) -> Tensor:
    """``[B]``, as a model of one output sees it; its own scale is log(1 + steps)."""
    parts = zip(codes.split(1024), named.split(1024), strict=True)
    return torch.cat([model(c, n)[:, 0] for c, n in parts]).expm1()


# --- one dreamed step ---------------------------------------------------------------------------


class SnappedRooms:
    """Dreams of one step at a time: each begins at a picture of tiles, and ends as one.

    Args:
        world: of BabyAI's sentences.
        dictionary: of its tiles.
        seed: of the dreams' noise.
    """

    def __init__(self, world: UniSimWorld, dictionary: Dictionary, seed: int = 0) -> None:
        self.world, self.dictionary = world, dictionary
        self.generator = torch.Generator().manual_seed(seed)

    def after(
        self, codes: Tensor, moves: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The tiles after one dreamed move each: ``[B, h, w]``, from ``[B, h, w]`` and ``[B]``.

        Another ``generator`` may draw the noise of this step.
        """
        return self._after(codes, moves[:, None], generator)[:, 0]

    def after_each(self, codes: Tensor) -> Tensor:
        """The tiles after each of the three moves, ``[B, M, h, w]``."""
        return self._after(codes, torch.arange(len(MOVES)).expand(len(codes), -1))

    @torch.inference_mode()
    def _after(
        self, codes: Tensor, moves: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        times, parts = moves.shape[1], []
        for here, said in zip(codes.split(256), moves.split(256), strict=True):
            latent = self._encode(self.dictionary.draw(here))
            state = repeated(self.world.begin(latent), times)
            state = self.world.imagine(state, said.flatten(), generator or self.generator)
            now, after = self._decode(latent), self._decode(state.latent)
            parts.append(
                self.dictionary.snapped(
                    here.repeat_interleave(times, 0), now.repeat_interleave(times, 0), after
                )
            )
        return torch.cat(parts).unflatten(0, moves.shape)

    def _encode(self, frames: Tensor) -> Tensor:
        with self.world.precision():
            return self.world.system.encode(frames[:, None])[:, 0].float()

    def _decode(self, latents: Tensor) -> Tensor:
        with self.world.precision():
            return to_uint8(self.world.system.decode(latents)).float()


def move_values(rooms: SnappedRooms, reward: RoomReader, codes: Tensor, named: Tensor) -> Tensor:
    """The steps to go through each move, ``[B, G, M]``, by one dreamed step and the reward.

    What is dreamed does not depend on the mission, so one dream serves many.

    Args:
        codes: uint8 ``[B, h, w]``.
        named: int64 ``[B, G]``, the tiles of G missions; -1 for none.
    """
    there = rooms.after_each(codes)[:, None].expand(-1, named.shape[1], -1, -1, -1)
    wanted = named[..., None].expand(-1, -1, len(MOVES))
    return 1 + steps_left(reward, there.flatten(0, 2), wanted.flatten()).view(wanted.shape)


# --- what is learned from the recording, and inside ----------------------------------------------


def fit(
    model: RoomReader, loss: Callable[[Tensor], Tensor], count: int, seconds: float,
    rate: float = 3e-3, seed: int = 3,
) -> RoomReader:  # fmt: skip
    """Optimizes a model for so many seconds of processor time; ``loss`` takes rows of ``count``."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), rate, (0.9, 0.98), weight_decay=1e-2)

    def value() -> Tensor:
        return loss(torch.randint(count, (min(BATCH, count),), generator=generator))

    def factor(step: int, gone: float) -> float:
        return min(1, (step + 1) / 50) * min(1, 1.5 * (1 - gone))

    descend(optimizer, value, within_seconds(seconds), factor, clip=1.0)
    return model.eval()


def train_steps(
    codes: Tensor, named: Tensor, steps: Tensor, dictionary: Dictionary, seconds: float, seed: int
) -> RoomReader:
    """A model of the steps that are left.

    Args:
        codes: uint8 ``[N, h, w]``, rooms in which a mission was said.
        named: int64 ``[N]``, the tile that it names.
        steps: ``[N]``, how many steps it then took.
        dictionary: of the tiles.
        seconds: of processor time.
        seed: of the weights.
    """
    torch.manual_seed(seed)
    model, wanted = RoomReader(dictionary.moving, 1, len(dictionary.looks)), steps.float().log1p()

    def loss(rows: Tensor) -> Tensor:
        said = model(codes[rows], named[rows])[:, 0]
        return F.smooth_l1_loss(said, wanted[rows], beta=0.3)

    return fit(model, loss, len(codes), seconds)


def train_moves(
    codes: Tensor, named: Tensor, wanted: Tensor, dictionary: Dictionary, seconds: float,
    seed: int = 0,
) -> RoomReader:  # fmt: skip
    """A policy that imitates.

    Args:
        codes, named: as in :func:`train_steps`.
        wanted: ``[N, M]``, how likely each move shall be.
        dictionary, seconds, seed: as in :func:`train_steps`.
    """
    torch.manual_seed(seed)
    model = RoomReader(dictionary.moving, len(MOVES), len(dictionary.looks))

    def loss(rows: Tensor) -> Tensor:
        likely = model(codes[rows], named[rows]).log_softmax(1)
        return -(wanted[rows] * likely).sum(1).mean()

    return fit(model, loss, len(codes), seconds)


def missions_of(recording: Recording, dictionary: Dictionary, most: int = 5) -> Tensor:
    """The tiles that are named in each episode, by its own mission or one that was said:
    int64 ``[episodes, most]``, -1 for none.
    """
    result = torch.full((len(recording.lengths), most), -1)
    ends = np.cumsum(recording.lengths)
    for i, (first, end) in enumerate(zip(recording.starts, ends, strict=True)):
        said = {int(recording.state[first, 3]), *recording.actions[first : end - 1].tolist()}
        tiles = [int(t) for t in dictionary.named[sorted(said)] if t >= 0][:most]
        result[i, : len(tiles)] = torch.tensor(tiles)
    return result


def searched(
    rooms: SnappedRooms, reward: RoomReader, codes: Tensor, missions: Tensor, seconds: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What a search inside would do in recorded rooms, for missions that were named there.

    Args:
        codes: uint8 ``[N, h, w]``.
        missions: int64 ``[N, G]``.
        seconds: of processor time.

    Returns:
        The row of each label, the tile that is named, and how likely each move is.
    """
    generator, begin, parts = torch.Generator().manual_seed(11), time.process_time(), []
    while not parts or time.process_time() - begin < seconds:
        rows = torch.randint(len(codes), (64,), generator=generator)
        wanted = missions[rows]
        values = move_values(rooms, reward, codes[rows], wanted)
        here = codes[rows][:, None].expand(-1, wanted.shape[1], -1, -1)
        left = steps_left(reward, here.flatten(0, 1), wanted.flatten()).view(wanted.shape)
        good = (wanted >= 0) & (left > DONE)
        row = rows[:, None].expand_as(wanted)
        parts.append((row[good], wanted[good], (-values[good] / SHARPNESS).softmax(1)))
    row, wanted, moves = (torch.cat(column) for column in zip(*parts, strict=True))
    return row, wanted, moves


# --- outside and inside ---------------------------------------------------------------------------


def drawn(policy: RoomReader | None, seed: int = 0) -> Actor:
    """A policy that draws its moves; None: any of them."""
    generator = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def act(codes: Tensor, named: Tensor) -> Tensor:
        odds = torch.ones(len(codes), len(MOVES))
        if policy is not None:
            odds = policy(codes, named).softmax(1)
        return torch.multinomial(odds, 1, generator=generator)[:, 0]

    return act


def searching(rooms: SnappedRooms, reward: RoomReader, seed: int = 0) -> Actor:
    """The search itself, at every move."""
    generator = torch.Generator().manual_seed(seed)

    def act(codes: Tensor, named: Tensor) -> Tensor:
        values = move_values(rooms, reward, codes, named[:, None])[:, 0]
        odds = (-values / SHARPNESS).softmax(1)
        return torch.multinomial(odds, 1, generator=generator)[:, 0]

    return act


def outside(
    act: Actor, dictionary: Dictionary, episodes: int = 200, seed: int = SEED, moves: int = 64
) -> Tensor:
    """Moves until the mission was done in each real room, ``[episodes]``; 0: it was not.

    The rooms' own rules say what is done, and the policy sees their pictures alone.
    """
    envs = [make("babyai/go-to-local", max_steps=moves) for _ in range(episodes)]
    frames = [env.reset(seed=seed + i)[0] for i, env in enumerate(envs)]
    named = dictionary.named[[env.unwrapped.mission for env in envs]]
    done, going = torch.zeros(episodes), list(range(episodes))
    for t in range(moves):
        seen = torch.from_numpy(np.stack([frames[i] for i in going])).permute(0, 3, 1, 2)
        chosen, still = act(dictionary.read(seen), named[going]).tolist(), []
        for i, move in zip(going, chosen, strict=True):
            frames[i], _, ended, cut, _ = envs[i].step(move)
            if ended:
                done[i] = t + 1
            elif not cut:
                still.append(i)
        if not (going := still):
            break
    return done


def inside(
    act: Actor, rooms: SnappedRooms, models: dict[str, RoomReader], episodes: int = 100,
    seed: int = SEED, moves: int = 64, absent: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """The same rooms and missions in a dream: whether each was done, bool ``[episodes]``, by model.

    A dream goes on until all models have found that it is done, or for all moves.

    Args:
        models: of the steps that are left, by name; done is where one sees less than half a step.
        absent: missions whose thing is not in the room, which nobody can do.
    """
    dictionary, frames, missions = rooms.dictionary, [], []
    for i in range(episodes):
        env = make("babyai/go-to-local")
        frames.append(env.reset(seed=seed + i)[0])
        missions.append(env.unwrapped.mission)
    codes = dictionary.read(torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2))
    named = dictionary.named[missions]
    if absent:
        things = dictionary.named[dictionary.named >= 0]
        there = (codes.long().flatten(1)[..., None] == things).any(1)  # [episodes, things]
        named = things[there.float().argmin(1)]
    done = {name: torch.zeros(episodes, dtype=torch.bool) for name in models}
    going = torch.arange(episodes)
    for _ in range(moves):
        codes[going] = rooms.after(codes[going], act(codes[going], named[going]))
        for name, model in models.items():
            done[name][going] |= steps_left(model, codes[going], named[going]) < DONE
        going = torch.nonzero(~torch.stack(list(done.values())).all(0))[:, 0]
        if not len(going):
            break
    return done
