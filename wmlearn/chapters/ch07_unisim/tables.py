"""The chapter's slower tables, measured once and stored beside the checkpoint.

    python -m wmlearn.chapters.ch07_unisim.tables CHECKPOINT --data FILES --out OUT.json

Each table is a function that returns JSON values; one that fails is left out and named. Everything
needs the simulators (``wmlearn[envs]``, ``[robots]``), and no accelerator.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim import control, real
from wmlearn.chapters.ch07_unisim.arms import SEED, arms, exploited
from wmlearn.chapters.ch07_unisim.control import told
from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.chapters.ch07_unisim.record import load
from wmlearn.chapters.ch07_unisim.rooms import (
    PoseReader,
    Room,
    absent_mission,
    dream_along,
    some_missions,
)
from wmlearn.data.clip import Clip
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES
from wmlearn.files import write_whole
from wmlearn.metrics import mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.actions import Actions
from wmlearn.systems.unisim.simulator import PATH
from wmlearn.systems.unisim.system import UniSim
from wmlearn.world import World

FORWARD = MOVES.index("go forward")
STEPS_AHEAD = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])


def controls(model: UniSim, mixture: Mixture, count: int = 48, passes: int = 1) -> dict:
    """PSNR under true and other actions, for each format and horizon."""
    found, _ = control.measure(model, mixture, count, {"num_steps": passes})
    return {
        name: [{k: v if k == "horizon" else told(v) for k, v in vars(row).items()} for row in rows]
        for name, rows in found.items()
    }


def louder(
    model: UniSim, mixture: Mixture, scales: tuple[float, ...] = (1, 1.5, 2, 3), name: str = "doom"
) -> dict:
    """The same for one world, by how far an action is guided away from silence."""
    clip, episode = control.held_out_clips(mixture, name, 48, control.CONTEXT + control.AHEAD)
    found = {}
    for scale in scales:
        world = model.world({"domain": name, "num_steps": 1, "guidance": scale})
        rows, _ = control.control(world, clip, episode)
        found[f"{scale:g}"] = [
            {k: v if k == "horizon" else told(v) for k, v in vars(row).items()} for row in rows
        ]
    return found


def moves_and_missions(
    model: UniSim, mixture: Mixture, count: int = 48, ahead: int = 4, world: World | None = None
) -> dict:
    """The same for BabyAI's two kinds of sentences apart, in clips that say nothing else.

    Only clips in which something moves, in truth. Of the model's world, or another one.
    """
    length, number = control.CONTEXT + ahead, model.config.number_of("babyai")
    first = torch.nonzero((mixture.domain == number) & mixture.held_out)[:, 0]
    first = first[first + length - 1 <= mixture.end[first]]
    said = torch.stack([mixture.sentence_after(first + t) for t in range(length - 1)], 1)
    said = said[:, control.CONTEXT - 1 :]
    still = mixture.frames[first + control.CONTEXT - 1] == mixture.frames[first + length - 1]
    moved = ~still.flatten(1).all(1)  # in truth, by what is said
    world, found = world or model.world({"domain": "babyai", "num_steps": 1}), {}
    generator = torch.Generator().manual_seed(3)
    for name, rows in {
        "moves": (said < len(MOVES)).all(1) & moved,
        "missions": (said >= len(MOVES)).all(1) & moved,
    }.items():
        chosen = first[rows]
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:count]]
        clip = mixture.clip(mixture.clips(chosen, length))
        rows_of, _ = control.control(world, clip, mixture.episode[chosen], (1, 2, ahead))
        found[name] = [
            {k: v if k == "horizon" else told(v) for k, v in vars(row).items()} for row in rows_of
        ]
    return found


# --- what is in the vector ----------------------------------------------------------------------


@torch.inference_mode()
def what_is_said(model: UniSim, mixture: Mixture, count: int = 96) -> dict:
    """PSNR of the next frame in one pass, by what the vector is told of the last action."""
    result = {}
    for number, domain in enumerate(model.config.domains):
        if domain.format == "none":
            continue
        generator = torch.Generator().manual_seed(1)
        length = model.config.simulator.frames
        clip = mixture.draw(count, length, generator, True, {domain.name: 1.0}, whole=True)
        latents = model.encode(mixture.frames[clip.index]).float()
        target = mixture.frames[clip.index[:, -1]]
        episode = mixture.episode[clip.index[:, 0]]
        eps = torch.randn(latents.shape, generator=generator)
        level = torch.zeros(latents.shape[:2])
        level[:, -1] = 1.0
        wrong = (number + 1) % 3
        told_of = {
            "the true action": clip.actions,
            "another clip's action": last(clip.actions, lambda x: x.roll(1, 0)),
            "nothing": last(clip.actions, nothing),
            "the true action, no domain": with_domain(clip.actions, -1),
            "the true action, a wrong domain": with_domain(clip.actions, wrong),
        }
        rows = {}
        for name, actions in told_of.items():
            vectors = model.simulator.actions(actions)
            drawn = model.simulator.estimate(PATH.mix(latents, eps, level), level, vectors)[:, -1]
            frames = to_uint8(model.decode(drawn))
            rows[name] = told(mean_estimate(psnr(frames, target), episode))
        copied = psnr(mixture.frames[clip.index[:, -2]], target)
        rows["copy of the last frame"] = told(mean_estimate(copied, episode))
        result[domain.name] = rows
    return result


def last(actions: Actions, change) -> Actions:
    """The actions with what led to the last frame changed, part by part."""
    parts = {}
    for name, value in vars(actions).items():
        if name != "domain":
            value = value.clone()
            value[:, -1] = change(value[:, -1])
        parts[name] = value
    return Actions(**parts)


def nothing(part: Tensor) -> Tensor:
    """Of a part of an action: absent."""
    return torch.full_like(part, -1) if part.dtype == torch.int64 else torch.zeros_like(part)


def with_domain(actions: Actions, number: int) -> Actions:
    """The same actions, said to be of another world; -1: of none."""
    return replace(actions, domain=torch.full_like(actions.domain, number))


# --- acting ---------------------------------------------------------------------------------------


@torch.inference_mode()
def steps_learned(model: UniSim, mixture: Mixture, count: int = 300) -> dict:
    """The mean error in log(1 + steps) of both models of what is left, beside the best constant."""
    generator = torch.Generator().manual_seed(4)
    rows = mixture.spoken[torch.randint(len(mixture.spoken), (count,), generator=generator)]
    latents = torch.cat([model.encode(mixture.frames[r][:, None])[:, 0] for r in rows.split(64)])
    task = model.simulator.actions.sentences(mixture.sentence_after(rows))
    wanted = mixture.said[rows].float().clamp(max=model.config.steps.most).log1p()
    errors = {"the best constant": (wanted - wanted.median()).abs()}
    for name, head in (("reward", model.steps_to_go), ("judge", model.judge)):
        errors[name] = (head(latents, torch.zeros_like(latents), task) - wanted).abs()
    return {name: told(mean_estimate(e, mixture.episode[rows])) for name, e in errors.items()}


# --- what breaks --------------------------------------------------------------------------------


def impossible(model: UniSim, rooms: int = 80) -> dict:
    """How often something moves where nothing can, and where it should."""
    world, read, rng = model.world(), PoseReader.learn(model), np.random.default_rng(1)
    groups: dict[str, list[tuple[Room, int]]] = {
        "go to a thing that is not there": [], "walk into a wall or a thing": [],
        "a move that can be made": [], "go to a thing that is there": [],
    }  # fmt: skip
    for i in range(rooms):
        room = Room(SEED + 1000 + i)
        groups["go to a thing that is not there"].append((room, absent_mission(room, rng)))
        blocked = Room(SEED + 1000 + i)
        for _ in range(12):
            x, y, turn = blocked.pose
            ahead = blocked.env._game.grid.get(*(STEPS_AHEAD[turn] + (x, y)))
            if ahead is not None:
                break
            blocked.say(FORWARD)
        groups["walk into a wall or a thing"].append((blocked, FORWARD))
        groups["a move that can be made"].append((Room(SEED + 1000 + i), int(rng.integers(2))))
        far = Room(SEED + 1000 + i)
        missions = [m for m in far.env.possible() if m >= len(MOVES) and far.steps_to(m) > 0]
        groups["go to a thing that is there"].append((far, int(rng.choice(missions))))
    result = {}
    for name, pairs in groups.items():
        before = torch.tensor([room.pose for room, _ in pairs])
        said = torch.tensor([sentence for _, sentence in pairs])[:, None]
        dreams, reals, poses = dream_along(world, [room for room, _ in pairs], said)
        seen = read(dreams[:, 0])
        through = read(to_uint8(model.decode(model.encode(reals)[:, 0])))
        right = (seen == poses[:, 0]).all(1).double()
        moved = (seen != before).any(1).double()
        result[name] = {
            "moves in truth": round(float((poses[:, 0] != before).any(1).float().mean()), 4),
            "read off the autoencoder": told(
                mean_estimate((through == poses[:, 0]).all(1).double())
            ),
            "moves in the dream": told(mean_estimate(moved)),
            "as in truth": told(mean_estimate(right)),
        }
    return result


def chained(model: UniSim, rooms: int = 64, each: int = 8, missions: int = 4) -> dict:
    """Sentence after sentence: the share of dreams whose triangle stands where it does in truth."""
    world, read, rng = model.world(), PoseReader.learn(model), np.random.default_rng(2)
    places = [Room(SEED + 3000 + i) for i in range(rooms)]
    chosen = [some_missions(room, missions, rng) for room in places]
    said = torch.tensor(chosen).repeat_interleave(each, 1)
    rows = {"steps": list(range(1, said.shape[1] + 1))}
    for name, sentences in (
        ("missions", said),
        ("moves", torch.from_numpy(rng.choice(3, said.shape, p=(0.25, 0.25, 0.5)))),
    ):
        here = [Room(SEED + 3000 + i) for i in range(rooms)]
        dreams, reals, poses = dream_along(world, here, sentences)
        if name == "missions":
            through = read(to_uint8(model.decode(model.encode(reals[:, :1])[:, 0])))
            found = (through[:, :2] == poses[:, 0, :2]).all(1).double()
            rows["read off the autoencoder"] = told(mean_estimate(found))
        seen = torch.stack([read(dreams[:, t]) for t in range(dreams.shape[1])], 1)
        right = (seen[..., :2] == poses[..., :2]).all(2).double()
        rows[name] = [round(float(x), 4) for x in right.mean(0)]
        if name == "missions":
            rows["things kept"] = things_kept(dreams, here)
    return rows


def things_kept(dreams: Tensor, rooms: list[Room]) -> list[float]:
    """The share of a room's things that a dream still draws in their place, step by step."""
    kept = []
    for t in range(dreams.shape[1]):
        share = []
        for i, room in enumerate(rooms):
            frame = torch.from_numpy(room.frame.copy()).permute(2, 0, 1).float()
            grid = room.env._game.grid
            for y in range(1, grid.height - 1):
                for x in range(1, grid.width - 1):
                    if grid.get(x, y) is None:
                        continue
                    where = (slice(None), slice(8 * y, 8 * y + 8), slice(8 * x, 8 * x + 8))
                    error = (dreams[i, t].float()[where] - frame[where]).square().mean()
                    empty = frame[where].square().mean()
                    share.append(float(error < 0.5 * empty))
        kept.append(round(float(np.mean(share)), 4))
    return kept


def forgotten(model: UniSim, seeds: int = 16, turns: tuple[int, ...] = (2, 4, 8, 16)) -> dict:
    """To the left for k steps and back again: PSNR in dB to the real frame at the end.

    Beside it, that of another episode's real frame at its end: what remains when all is forgotten.
    """
    world, env = model.world({"domain": "doom"}), make("doom/basic")
    names = env.unwrapped.action_names
    left, right = names.index("left"), names.index("right")
    rows = {}
    for k in turns:
        actions, firsts, lasts = [left] * k + [right] * k, [], []
        for seed in range(seeds):
            frame, _ = env.reset(seed=SEED + seed)
            firsts.append(frame.copy())
            for action in actions:
                frame, *_ = env.step(action)
            lasts.append(frame.copy())
        pictures = [torch.from_numpy(np.stack(x)).permute(0, 3, 1, 2) for x in (firsts, lasts)]
        state = world.reset(Clip(pictures[0][:, None].contiguous()))
        generator = torch.Generator().manual_seed(0)
        for action in actions:
            state, step = world.step(state, torch.full((seeds,), action), generator)
        rows[str(k)] = {
            "dream": told(mean_estimate(psnr(step.frame, pictures[1]))),
            "another episode": told(mean_estimate(psnr(pictures[1].roll(1, 0), pictures[1]))),
        }
    env.close()
    return rows


def speed(model: UniSim, frames: int = 30) -> dict:
    """Frames a second of processor time, one thread, median; one pass and two."""
    result = {}
    for domain in ("babyai", "fetch", "doom"):
        for passes in (1, 2):
            world = model.world({"domain": domain, "num_steps": passes})
            frame = torch.zeros(1, 1, 3, 64, 64, dtype=torch.uint8)
            state, times = world.reset(Clip(frame)), []
            action = torch.as_tensor(np.array([world.action_space.sample()]))
            for _ in range(frames):
                begin = time.process_time()
                state, _ = world.step(state, action, torch.Generator().manual_seed(0))
                times.append(time.process_time() - begin)
            result[f"{domain}, K = {passes}"] = round(1 / float(np.median(times)), 1)
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, nargs="+", default=[])
    parser.add_argument("--all_held_out", nargs="*", default=["fetch", "doom", "passive"],
                        help="worlds of which DATA holds nothing that was trained on")  # fmt: skip
    parser.add_argument("--policies", type=Path, help="a folder of policies, for the real worlds")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = hub.load(args.checkpoint)
    tables = {
        "exploited": lambda: exploited(model), "impossible": lambda: impossible(model),
        "chained": lambda: chained(model), "forgotten": lambda: forgotten(model),
        "arms": lambda: arms(model), "speed": lambda: speed(model),
    }  # fmt: skip
    if args.policies:
        tables["policies"] = lambda: real.measured(model, args.policies, args.episodes)
    if args.data:
        recordings = {k: v for path in args.data for k, v in load(path).items()}
        mixture = Mixture(recordings, model.config, all_held_out=tuple(args.all_held_out))
        tables["steps"] = lambda: steps_learned(model, mixture)
        tables["what is said"] = lambda: what_is_said(model, mixture)
        tables["control"] = lambda: controls(model, mixture)
        tables["louder"] = lambda: louder(model, mixture)
        tables["sentences"] = lambda: moves_and_missions(model, mixture)
    found = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for name in args.only or tables:
        table = tables[name]
        begin = time.monotonic()
        found[name] = table()
        print(
            f"{name}: {time.monotonic() - begin:.0f} s", json.dumps(found[name])[:600], flush=True
        )
        write_whole(args.out, json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
