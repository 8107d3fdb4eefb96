"""Hindsight: what moves led to, said afterwards; from short clips, and from long dreams.

    python -m wmlearn.chapters.ch07_unisim.hindsight CHECKPOINT --data FILES --out FOLDER

Nobody planned a recorded clip of four frames, yet some of them end before a thing, and are ways to
it. A policy that imitates them knows what to do near a thing. In the simulator one clip follows
another (Yang et al. 2023, section 4.1): that policy goes on for longer than any clip, and what it
comes to is said afterwards. The table "hindsight" compares, in real rooms, what is learned from the
clips alone, with as many dreamed moves in short dreams, and with as many in long ones.

Whether a mission is done is what the learned reward says. Of a way, loops are cut out.

Legend: W ways, T moves of one, B rooms, h x w places, L labels.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim.control import told
from wmlearn.chapters.ch07_unisim.in_rooms import (
    DONE,
    Actor,
    RoomReader,
    SnappedRooms,
    drawn,
    outside,
    steps_left,
    train_moves,
)
from wmlearn.chapters.ch07_unisim.leave import FILE, Trained, load_trained
from wmlearn.chapters.ch07_unisim.real import SEED
from wmlearn.chapters.ch07_unisim.record import Recording, load_tiles
from wmlearn.chapters.ch07_unisim.rooms import Room, clip_of
from wmlearn.chapters.ch07_unisim.tiles import Dictionary
from wmlearn.chapters.ch07_unisim.train import say
from wmlearn.envs.babyai import MOVES
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate

SHORT, LONG = 3, 32  # moves of a clip, and of a long dream
EACH = 8  # moves for which one mission is said in a dream
THINGS = 8  # of each way, which it may have led to
ANY = 0.3  # share of a dream's moves that are any move


@dataclass(frozen=True)
class Ways:
    """What was seen, and done.

    Attributes:
        codes: uint8 ``[W, T + 1, h, w]``, tiles.
        moves: int64 ``[W, T]``.
    """

    codes: Tensor
    moves: Tensor


@dataclass(frozen=True)
class Labels:
    """What shall be done.

    Attributes:
        codes: uint8 ``[L, h, w]``.
        named: int64 ``[L]``, the tile of the thing to go to.
        moves: int64 ``[L]``.
    """

    codes: Tensor
    named: Tensor
    moves: Tensor

    def __add__(self, other: Labels) -> Labels:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Labels(*(torch.cat(pair) for pair in pairs))


def short_clips(recording: Recording, moves: int = SHORT) -> Ways:
    """A recording cut into clips of so many moves; those in which a mission is said are left."""
    codes, actions = torch.from_numpy(recording.frames[..., 0]), torch.from_numpy(recording.actions)
    first = torch.cat(
        [
            torch.arange(start, max(start, start + length - moves), moves + 1)
            for start, length in zip(recording.starts, recording.lengths, strict=True)
        ]
    )
    said = actions[first[:, None] + torch.arange(moves)]
    first, said = (x[(said < len(MOVES)).all(1)] for x in (first, said))
    return Ways(codes[first[:, None] + torch.arange(moves + 1)], said)


def things_in(codes: Tensor, dictionary: Dictionary, count: int, seed: int = 0) -> Tensor:
    """Things that are in each room, drawn at random: tiles int64 ``[B, count]``; -1: no more."""
    kinds = dictionary.named[dictionary.named >= 0]
    there = (codes.long().flatten(1)[..., None] == kinds).any(1)  # [B, kinds]
    order = torch.rand(there.shape, generator=torch.Generator().manual_seed(seed)) + ~there * 2.0
    value, pick = order.sort(1)
    return torch.where(value[:, :count] < 1, kinds[pick[:, :count]], -1)


def dreamed(
    rooms: SnappedRooms, codes: Tensor, policy: RoomReader, moves: int, seed: int = 0
) -> Ways:
    """Dreams that go on: one mission after the other is said to a policy, snapped at each move.

    Args:
        rooms: where they are dreamed.
        codes: uint8 ``[W, h, w]``, where they begin.
        policy: who moves, but for a share of any moves.
        moves: T.
        seed: of missions and moves.
    """
    act, generator = drawn(policy, seed), torch.Generator().manual_seed(seed)
    said = things_in(codes, rooms.dictionary, -(-moves // EACH), seed)
    seen, made = [codes], []
    for t in range(moves):
        move = act(seen[-1], said[:, t // EACH])
        other = torch.randint(len(MOVES), move.shape, generator=generator)
        free = torch.rand(move.shape, generator=generator) < ANY
        made.append(torch.where(free, other, move))
        seen.append(rooms.after(seen[-1], made[-1]))
    return Ways(torch.stack(seen, 1), torch.stack(made, 1))


def in_hindsight(
    ways: Ways, reward: RoomReader, dictionary: Dictionary, seed: int = 0, things: int = THINGS
) -> Labels:
    """For some things of each way's first room: the moves that led to them, as if asked for.

    Args:
        ways: that somebody went.
        reward: whether a thing is come to, is what it believes.
        dictionary: of tiles.
        seed: of which things.
        things: at most so many of each way.
    """
    codes, named = ways.codes, things_in(ways.codes[:, 0], dictionary, things, seed)
    count, times = codes.shape[:2]
    every = codes[:, None].expand(-1, named.shape[1], -1, -1, -1).flatten(0, 2)
    left = steps_left(reward, every, named[:, :, None].expand(-1, -1, times).flatten())
    done = (left < DONE).view(count, -1, times) & (named >= 0)[..., None]
    rows, what = [], []
    for way, thing in torch.nonzero(done.any(2) & ~done[..., 0]).tolist():
        last = int(done[way, thing].int().argmax())
        for t in without_loops([x.tobytes() for x in codes[way, : last + 1].numpy()]):
            rows.append((way, t))
            what.append(int(named[way, thing]))
    at = torch.tensor(rows, dtype=torch.long).view(-1, 2)
    of = (at[:, 0], at[:, 1])
    return Labels(codes[of], torch.tensor(what, dtype=torch.long), ways.moves[of])


def without_loops(states: list) -> list[int]:
    """The steps of a way that are left when it never comes back to where it was.

    Args:
        states: what was seen at each time; whatever was seen twice is a loop.

    Returns:
        Times, rising; the move at each leads to the state of the next one, the last to the end.
    """
    last, t, kept = {state: t for t, state in enumerate(states)}, 0, []
    while (t := last[states[t]]) < len(states) - 1:
        kept.append(t)
        t += 1
    return kept


def learned(labels: Labels, dictionary: Dictionary, seconds: float, seed: int) -> RoomReader:
    """A policy that imitates."""
    wanted = F.one_hot(labels.moves, len(MOVES)).float()
    return train_moves(labels.codes, labels.named, wanted, dictionary, seconds, seed)


# --- in real rooms --------------------------------------------------------------------------------


def nearer(
    act: Actor, dictionary: Dictionary, episodes: int, moves: int = 16, seed: int = SEED
) -> Tensor:
    """The share of the steps to its thing that a policy has gone after so many moves, ``[B]``.

    1 where it is faced; below 0 where it is farther than before. Rooms in which the thing cannot be
    reached are left out.
    """
    rooms = [Room(seed + i) for i in range(episodes)]
    mission = [room.env.mission for room in rooms]
    before = torch.tensor([room.steps_to(m) for room, m in zip(rooms, mission, strict=True)])
    named, left = dictionary.named[mission], before.clone()
    for _ in range(moves):
        chosen = act(dictionary.read(clip_of(rooms).frames[:, 0]), named).tolist()
        for i in torch.nonzero(left > 0)[:, 0].tolist():
            rooms[i].say(chosen[i])
            left[i] = rooms[i].steps_to(mission[i])
    good = (before > 0) & (before < 99)
    return 1 - left[good] / before[good]


def compared(
    model, its: Trained, recording: Recording, seeds: int = 2, long_dreams: int = 128,
    seconds: float = 10.0, episodes: int = 150,
) -> dict:  # fmt: skip
    """What is learned from short clips, and from as many dreamed moves in short and long dreams.

    Args:
        model: a trained ``UniSim``.
        its: of the rooms: dictionary and reward.
        recording: of tiles; one episode of twenty is left out.
        seeds: of everything.
        long_dreams: W of the long ones; there are as many more short ones as they are shorter.
        seconds: of processor time, for each policy.
        episodes: real rooms.
    """
    world, found = model.world({"domain": "babyai", "num_steps": 1}), {}
    clips = short_clips(recording)
    shares: dict[str, list[Tensor]] = {}
    for seed in range(seeds):
        rooms = SnappedRooms(world, its.dictionary, seed)
        labels = {"short clips": in_hindsight(clips, its.reward, its.dictionary, seed)}
        policy = learned(labels["short clips"], its.dictionary, seconds, seed)
        starts = torch.randperm(len(clips.codes), generator=torch.Generator().manual_seed(seed))
        actors = {"any move": None, "short clips": policy}
        for name, moves in (("short dreams", SHORT), ("long dreams", LONG)):
            rows = starts[: long_dreams * LONG // moves]
            ways = dreamed(rooms, clips.codes[rows, 0], policy, moves, seed)
            name = f"short clips and {name}"
            labels[name] = in_hindsight(ways, its.reward, its.dictionary, seed)
            both = labels["short clips"] + labels[name]
            actors[name] = learned(both, its.dictionary, seconds, seed)
        for name, policy in actors.items():
            took = outside(drawn(policy, seed), its.dictionary, episodes)
            share = nearer(drawn(policy, seed), its.dictionary, episodes)
            shares.setdefault(f"{name}, done", []).append((took > 0).double())
            shares.setdefault(f"{name}, nearer", []).append(share.double())
            row = found.setdefault(name, {"labels": []})
            row["labels"].append(len(labels[name].moves) if name in labels else 0)
            means = [round(float(shares[f"{name}, {x}"][-1].mean()), 3) for x in ("done", "nearer")]
            say(seed, name, row["labels"][-1], *means)
    for name, row in found.items():
        for what in ("done", "nearer"):
            mine, first = (shares[f"{x}, {what}"] for x in (name, "short clips"))
            row[what] = over_seeds(mine)
            row[f"{what}, more than short clips"] = over_seeds(
                [a - b for a, b in zip(mine, first, strict=True)]
            )
    return {"rooms": episodes, "clips": len(clips.moves), "moves": [SHORT, LONG],
            "dreamed moves": long_dreams * LONG, "actors": found}  # fmt: skip


def over_seeds(values: list[Tensor]) -> dict:
    """The mean over seeds, its interval over rooms, and each seed's."""
    each = torch.stack(values)
    return told(mean_estimate(each.mean(0))) | {"seeds": [round(float(x), 4) for x in each.mean(1)]}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="files of `record`")
    parser.add_argument("--out", type=Path, required=True, help=f"a folder with {FILE}")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table = args.out / "tables.json"
    tables = json.loads(table.read_text()) if table.is_file() else {}
    recording = load_tiles(args.data)[1]
    its = load_trained(args.out / FILE)
    tables["hindsight"] = compared(hub.load(args.checkpoint), its, recording, args.seeds)
    write_whole(table, json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
