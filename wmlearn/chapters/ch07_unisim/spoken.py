"""Rooms that do what they are told: a mission becomes a move, and each dreamed step is snapped.

    python -m wmlearn.chapters.ch07_unisim.spoken CHECKPOINT --data FILES --out FOLDER

The simulator makes nothing of a mission. What section 6 has trained inside it can be put in front
of it: the policy says which move a mission means here, the simulator dreams that move, and what is
dreamed is snapped to tiles. The table "spoken" has what sentences are worth then.

Legend: B rooms, h x w places, T steps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim.arms import SEED
from wmlearn.chapters.ch07_unisim.control import CONTEXT, control, held_out_clips, told
from wmlearn.chapters.ch07_unisim.in_rooms import DONE, RoomReader, SnappedRooms, steps_left
from wmlearn.chapters.ch07_unisim.leave import FILE, Trained, load_trained
from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.chapters.ch07_unisim.record import load, record
from wmlearn.chapters.ch07_unisim.rooms import Room, clip_of, some_missions
from wmlearn.chapters.ch07_unisim.tables import moves_and_missions
from wmlearn.chapters.ch07_unisim.train import say
from wmlearn.data.clip import Clip
from wmlearn.envs.babyai import MOVES
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate, psnr
from wmlearn.systems.unisim.system import UniSim
from wmlearn.world import Step, World

FRESH = 4_000  # frames of new rooms that sentences are measured in


class SpokenRooms(World):
    """BabyAI's rooms, snapped at each step, in which a policy says what a mission means.

    Its state is tiles, uint8 ``[B, h, w]``. Where the reward says that a mission is done, or where
    no such thing is in the room, nothing moves.

    Args:
        rooms: one dreamed step at a time.
        policy: from rooms and named things to moves.
        reward: the steps that are left.
    """

    predicts_reward = False

    def __init__(self, rooms: SnappedRooms, policy: RoomReader, reward: RoomReader) -> None:
        self.rooms, self.policy, self.reward = rooms, policy, reward
        self.system = rooms.world.system
        self.action_space, self.frame_shape = rooms.world.action_space, rooms.world.frame_shape
        self.formats = rooms.world.formats

    def reset(self, context: Clip) -> Tensor:
        """The tiles of a clip's last frames."""
        return self.rooms.dictionary.read(context.frames[:, -1])

    @torch.inference_mode()
    def step(
        self, state: Tensor, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Step]:
        """What a sentence asks for, dreamed and snapped."""
        named = self.rooms.dictionary.named[action]
        move = torch.where(named < 0, action, self.policy(state, named).argmax(1))
        there = (state.long() == named[:, None, None]).flatten(1).any(1)
        goes = (named < 0) | there & (steps_left(self.reward, state, named) >= DONE)
        after = self.rooms.after(state, move.clamp(max=len(MOVES) - 1), generator)
        state = torch.where(goes[:, None, None], after, state)
        nothing = torch.zeros(len(state))
        return state, Step(self.rooms.dictionary.draw(state), nothing, nothing > 0)


def spoken_rooms(model: UniSim, its: Trained) -> SpokenRooms:
    """The world of a trained simulator and what was trained inside it."""
    world = model.world({"domain": "babyai", "num_steps": 1})
    return SpokenRooms(SnappedRooms(world, its.dictionary), its.policy, its.reward)


@torch.inference_mode()
def one_mission(world: World, rooms: int = 64, steps: int = 16, seed: int = 0) -> list[dict]:
    """One mission said over and over to real and dreamed rooms; and to the dream, another.

    Both missions can be fulfilled in the room. By the steps: PSNR under what was said, what another
    mission costs, and a copy of the first frame, in dB.
    """
    rng = np.random.default_rng(4)
    places = [Room(SEED + 5000 + i) for i in range(rooms)]
    said = torch.tensor([some_missions(room, 2, rng) for room in places])  # [B, 2]
    start, scores = clip_of(places), []
    states = [world.reset(start), world.reset(start)]
    draws = [torch.Generator().manual_seed(seed) for _ in states]
    for t in range(1, steps + 1):
        real = np.stack([r.say(m) for r, m in zip(places, said[:, 0].tolist(), strict=True)])
        target, row = torch.from_numpy(real).permute(0, 3, 1, 2), []
        for i in range(2):
            states[i], step = world.step(states[i], said[:, i], draws[i])
            row.append(psnr(step.frame, target))
        if t & (t - 1) == 0:  # 1, 2, 4, ...
            copy = psnr(start.frames[:, 0], target)
            names = {"true": row[0], "delta": row[0] - row[1], "copy": copy}
            scores.append({"horizon": t} | {k: told(mean_estimate(v)) for k, v in names.items()})
    return scores


def measured(model: UniSim, its: Trained, mixture: Mixture, count: int = 48) -> dict:
    """What sentences are worth as the network has them, and as they are spoken to a policy."""
    worlds = {
        "the network alone": model.world({"domain": "babyai", "num_steps": 1}),
        "snapped, missions by the policy": spoken_rooms(model, its),
    }
    clip, episode = held_out_clips(mixture, "babyai", count, CONTEXT + 8)
    found = {}
    for name, world in worlds.items():
        rows, _ = control(world, clip, episode)
        found[name] = {
            "all sentences": [
                {k: v if k == "horizon" else told(v) for k, v in vars(row).items()} for row in rows
            ],
            **moves_and_missions(model, mixture, count, world=world),
            "one mission": one_mission(world),
        }
        for kind, its_rows in found[name].items():
            say(name, kind, [(r["horizon"], r["true"]["value"], r["delta"]) for r in its_rows])
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="files of `record`")
    parser.add_argument("--out", type=Path, required=True, help=f"a folder with {FILE}")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, table = hub.load(args.checkpoint), args.out / "tables.json"
    tables = json.loads(table.read_text()) if table.is_file() else {}
    recordings = {k: v for path in args.data for k, v in load(path).items()}
    recordings["babyai"] = record("babyai", FRESH, SEED)  # policy and reward saw some of the others
    mixture = Mixture(recordings, model.config, all_held_out=tuple(recordings))
    tables["spoken"] = measured(model, load_trained(args.out / FILE), mixture)
    write_whole(table, json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
