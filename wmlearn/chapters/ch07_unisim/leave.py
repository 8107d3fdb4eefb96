"""Trains policies inside and measures them outside, in minutes of one core.

    python -m wmlearn.chapters.ch07_unisim.leave CHECKPOINT --data FILES --out FOLDER

Writes ``rooms.safetensors`` into FOLDER (dictionary, reward, judge, policy and the clone that it is
compared with), ``reachers.safetensors`` (the arm's policy and its clone), and the tables "rooms"
and "reachers" into its ``tables.json``. ``--measure`` trains nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim import in_rooms, reachers, real
from wmlearn.chapters.ch07_unisim.arms import SEED
from wmlearn.chapters.ch07_unisim.control import told
from wmlearn.chapters.ch07_unisim.in_rooms import RoomReader, SnappedRooms
from wmlearn.chapters.ch07_unisim.mixture import said_steps
from wmlearn.chapters.ch07_unisim.policies import Reader
from wmlearn.chapters.ch07_unisim.record import Recording, load, load_tiles
from wmlearn.chapters.ch07_unisim.rooms import Room, clip_of
from wmlearn.chapters.ch07_unisim.tiles import Dictionary
from wmlearn.chapters.ch07_unisim.train import say
from wmlearn.envs.babyai import MOVES
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate

FILE, ARM_FILE = "rooms.safetensors", "reachers.safetensors"
SECONDS = {"reward": 120.0, "judge": 60.0, "search": 70.0, "policy": 40.0, "clone": 40.0}
ARM_SECONDS = {"first": 60.0, "search": 45.0, "policy": 40.0}
"""Of processor time; the arm's clone goes on for as long as its policy does."""
WITHIN = 10  # recorded moves count for the clone where the mission was done so many steps later
MOST = 24  # steps that count as far


@dataclass(frozen=True)
class Trained:
    """What the chapter has of the rooms.

    Attributes:
        dictionary: of tiles.
        reward, judge: the steps that are left, as two halves of the recording tell.
        policy: trained inside.
        clone: of recorded moves.
    """

    dictionary: Dictionary
    reward: RoomReader
    judge: RoomReader
    policy: RoomReader
    clone: RoomReader

    def save(self, path: Path) -> None:
        """Writes a safetensors file; weights as float16."""
        tensors = {f"dictionary.{k}": v.contiguous() for k, v in vars(self.dictionary).items()}
        for name, model in vars(self).items():
            if isinstance(model, RoomReader):
                weights = model.state_dict().items()
                tensors |= {f"{name}.{k}": v.half().contiguous() for k, v in weights}
        write_whole(path, lambda to: save_file(tensors, to))


def load_trained(path: str | Path) -> Trained:
    """What :meth:`Trained.save` wrote."""
    parts = _parts(path)
    dictionary, models = Dictionary(**parts.pop("dictionary")), {}
    for name, weights in parts.items():
        outputs = len(weights["head.2.bias"])
        model = RoomReader(dictionary.moving, outputs, len(dictionary.looks))
        model.load_state_dict({k: v.float() for k, v in weights.items()})
        models[name] = model.eval()
    return Trained(dictionary, **models)


def _parts(path: str | Path) -> dict[str, dict[str, Tensor]]:
    """A file's tensors by the first word of their names."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in hub.read_tensors(path).items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = value
    return parts


def trained(
    model, paths: Sequence[Path], seconds: dict[str, float] = SECONDS, most: int | None = None
) -> Trained:
    """Everything about the rooms, from recordings and a simulator.

    One episode of twenty is held out, one of four is the judge's; the reward, the search's first
    rooms and the clone have the others.

    Args:
        model: a trained ``UniSim``.
        paths: files of ``record``.
        seconds: of processor time, as ``SECONDS``.
        most: episodes to use; by default all.
    """
    atlas, recording = load_tiles(paths)
    dictionary = Dictionary.learn(atlas, recording)
    if most is not None:
        recording = first_episodes(recording, most)
    codes, actions = torch.from_numpy(recording.frames[..., 0]), torch.from_numpy(recording.actions)
    episode = torch.from_numpy(np.repeat(np.arange(len(recording.lengths)), recording.lengths))
    end = torch.from_numpy(np.cumsum(recording.lengths) - 1)[episode]
    number, kept = torch.arange(len(codes)), episode % 20 != 19
    steps, mission = said_steps(recording).clamp(max=MOST), actions >= len(MOVES)
    spoken = (steps >= 0) & mission & (number < end) & kept
    heads = {}
    for seed, (name, rows) in enumerate(
        {"reward": spoken & (episode % 4 != 1), "judge": spoken & (episode % 4 == 1)}.items()
    ):
        heads[name] = in_rooms.train_steps(
            codes[rows], dictionary.named[actions[rows]], steps[rows], dictionary, seconds[name],
            seed,
        )  # fmt: skip
        say(name, {"rooms": int(rows.sum())})
    rooms = SnappedRooms(model.world({"domain": "babyai", "num_steps": 1}), dictionary)
    missions = in_rooms.missions_of(recording, dictionary)[episode]
    rows = torch.nonzero(kept & (number < end))[:, 0]
    row, named, wanted = in_rooms.searched(
        rooms, heads["reward"], codes[rows], missions[rows], seconds["search"]
    )
    say("search", {"labels": len(row)})
    policy = in_rooms.train_moves(codes[rows][row], named, wanted, dictionary, seconds["policy"])
    # The rival: recorded moves at most ten steps before an episode's own mission was done.
    reached = torch.from_numpy(recording.reached)[end]
    rows = kept & (number < end) & (end - number <= WITHIN) & reached & ~mission
    own = torch.from_numpy(recording.state[:, 3]).long()[rows]
    made = F.one_hot(actions[rows], len(MOVES)).float()
    clone = in_rooms.train_moves(
        codes[rows], dictionary.named[own], made, dictionary, seconds["clone"]
    )
    say("clone", {"moves": int(rows.sum())})
    return Trained(dictionary, heads["reward"], heads["judge"], policy, clone)


def first_episodes(recording: Recording, most: int) -> Recording:
    """The first episodes of a recording."""
    lengths = recording.lengths[:most]
    n = int(lengths.sum())
    columns = (recording.frames, recording.actions, recording.state, recording.reached)
    frames, actions, state, reached = (column[:n] for column in columns)
    return Recording(frames, actions, lengths, state, reached)


def measured(model, its: Trained, episodes: int = 200, dreams: int = 100, moves: int = 64) -> dict:
    """Everyone who acts in the rooms, in as many real ones and dreamed ones.

    "Inside" is the share of missions that a head believes done in a dream of so many moves;
    "outside" the share that was, in a real room. Rooms and missions are the same for all.
    """
    world = model.world({"domain": "babyai", "num_steps": 1})

    def fresh(seed: int) -> SnappedRooms:
        return SnappedRooms(world, its.dictionary, seed)

    def actors(seed: int) -> dict[str, in_rooms.Actor]:
        return {
            "any move": in_rooms.drawn(None, seed),
            "cloned from the recording": in_rooms.drawn(its.clone, seed),
            "trained inside": in_rooms.drawn(its.policy, seed),
            "the search itself": in_rooms.searching(fresh(1), its.reward, seed),
        }

    found, successes = {}, {}
    heads = {"reward": its.reward, "judge": its.judge}
    for name, act in actors(0).items():
        took = in_rooms.outside(act, its.dictionary, episodes, moves=moves)
        successes[name] = (took > 0).double()
        row = {"outside": told(mean_estimate(successes[name]))}
        if (took > 0).any():
            row["moves"] = told(mean_estimate(took[took > 0].double()))
        done = in_rooms.inside(actors(1)[name], fresh(2), heads, dreams, moves=moves)
        row |= {f"inside, by the {k}": told(mean_estimate(v.double())) for k, v in done.items()}
        gap = done["reward"].double() - successes[name][:dreams]
        row["inside less outside"] = told(mean_estimate(gap))
        if name == "trained inside":
            more = successes[name] - successes["cloned from the recording"]
            row["more than the clone"] = told(mean_estimate(more))
        found[name] = row
        say(name, row)
    chain = snapped_chain(fresh(3), min(64, dreams), min(24, moves))
    absent = impossible(model, its, min(40, dreams), min(24, moves))
    told_all = {"actors": found, "chain": chain, "absent": absent}
    return {"episodes": episodes, "dreams": dreams, **told_all}


def impossible(model, its: Trained, dreams: int, moves: int) -> dict:
    """Missions whose thing is not in the room: how many a head believes done, by who acts."""
    world = model.world({"domain": "babyai", "num_steps": 1})
    heads, found = {"reward": its.reward, "judge": its.judge}, {}
    for name, act in {
        "trained inside": in_rooms.drawn(its.policy, 1),
        "the search itself": in_rooms.searching(
            SnappedRooms(world, its.dictionary, 1), its.reward, 1
        ),
    }.items():
        rooms = SnappedRooms(world, its.dictionary, 4)
        done = in_rooms.inside(act, rooms, heads, dreams, moves=moves, absent=True)
        found[name] = {k: told(mean_estimate(v.double())) for k, v in done.items()}
        say("absent", name, found[name])
    return {"dreams": dreams, "moves": moves, "actors": found}


def snapped_chain(rooms: SnappedRooms, count: int, steps: int) -> dict[str, list]:
    """Move after move, snapped each time: the share of dreams that are as the real room is."""
    places = [Room(SEED + 3000 + i) for i in range(count)]
    rng, book = np.random.default_rng(3), rooms.dictionary
    codes, rows = book.read(clip_of(places).frames[:, 0]), {"stands as in truth": [], "all": []}
    for _ in range(steps):
        moves = rng.choice(len(MOVES), count, p=(0.25, 0.25, 0.5))
        codes = rooms.after(codes, torch.from_numpy(moves))
        for room, move in zip(places, moves.tolist(), strict=True):
            room.say(move)
        truth = book.read(clip_of(places).frames[:, 0])
        here, there = (torch.isin(x.long(), book.moving).flatten(1) for x in (codes, truth))
        rows["stands as in truth"].append(round(float((here == there).all(1).float().mean()), 4))
        rows["all"].append(round(float((codes == truth).flatten(1).all(1).float().mean()), 4))
    return {"steps": list(range(1, steps + 1)), **rows}


# --- the arm ------------------------------------------------------------------------------------


def trained_arm(
    model, recording: Recording, seconds: dict[str, float] = ARM_SECONDS
) -> dict[str, Reader]:
    """The arm's policies: "clone" imitates the recording, "inside" a search in the dream as well.

    Both go on from one clone, for as long.

    Args:
        model: a trained ``UniSim``.
        recording: of the arm.
        seconds: of processor time, as ``ARM_SECONDS``.
    """
    frames = torch.from_numpy(recording.frames).permute(0, 3, 1, 2)
    with torch.inference_mode():
        latents = torch.cat([model.encode(x[:, None])[:, 0] for x in frames.split(200)]).clone()
    last = torch.from_numpy(np.cumsum(recording.lengths) - 1)
    end = last.repeat_interleave(torch.from_numpy(recording.lengths))
    first = torch.from_numpy(recording.starts).repeat_interleave(
        torch.from_numpy(recording.lengths)
    )
    motions = torch.from_numpy(recording.actions)
    torch.manual_seed(0)
    fresh = Reader(latents.shape[1], latents.shape[2], motions.shape[1])
    known = (latents, motions, end)
    begun = reachers.improved(fresh, *known, seconds["first"], rate=2e-3)
    searched = reachers.searched_motions(model, latents, first, end, seconds["search"])
    say("the arm's search", {"labels": len(searched[0])})
    return {
        "clone": reachers.improved(begun, *known, seconds["policy"]),
        "inside": reachers.improved(begun, *known, seconds["policy"], searched),
    }


def save_arm(path: Path, policies: dict[str, Reader]) -> None:
    """Writes the arm's policies as one safetensors file, as float16."""
    tensors = {
        f"{name}.{k}": v.half().contiguous()
        for name, policy in policies.items()
        for k, v in policy.state_dict().items()
    }
    write_whole(path, lambda to: save_file(tensors, to))


def load_arm(path: str | Path, model) -> dict[str, Reader]:
    """What :func:`save_arm` wrote."""
    policies = {}
    for name, weights in _parts(path).items():
        c, side = model.config.autoencoder.latent_channels, model.config.latent_size
        policies[name] = Reader(c, side, model.config.dimensions)
        policies[name].load_state_dict({k: v.float() for k, v in weights.items()})
        policies[name].eval()
    return policies


def measured_arm(model, policies: dict[str, Reader], episodes: int = 120) -> dict:
    """How far from its goal the real arm ends after 25 motions; starts and goals are shared."""
    actors = {
        "any motion": None,
        "cloned from the recording": real.reacher(model, policies["clone"]),
        "the clone, trained on inside": real.reacher(model, policies["inside"]),
    }
    found, ends = {}, {}
    for name, act in actors.items():
        share, distance, success, ends[name] = real.play_fetch(act, episodes)
        found[name] = {"within 5 cm": told(share), "centimeters": told(distance)}
        if name == "the clone, trained on inside":
            nearer = ends[name] - ends["cloned from the recording"]
            found[name]["centimeters less the clone's"] = told(mean_estimate(nearer))
        say(name, found[name])
    return {"episodes": episodes, "actors": found}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, nargs="+", help="files that `record` wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--measure", action="store_true", help="what lies in OUT already")
    parser.add_argument("--only", choices=("rooms", "reachers"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, table = hub.load(args.checkpoint), args.out / "tables.json"
    args.out.mkdir(parents=True, exist_ok=True)
    tables = json.loads(table.read_text()) if table.is_file() else {}
    if args.only != "reachers":
        if not args.measure:
            trained(model, args.data).save(args.out / FILE)
        tables["rooms"] = measured(model, load_trained(args.out / FILE), args.episodes)
        write_whole(table, json.dumps(tables, indent=1))
    if args.only != "rooms":
        if not args.measure:
            recordings = {k: v for path in args.data for k, v in load(path, ("fetch",)).items()}
            save_arm(args.out / ARM_FILE, trained_arm(model, recordings["fetch"]))
        tables["reachers"] = measured_arm(model, load_arm(args.out / ARM_FILE, model))
        write_whole(table, json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
