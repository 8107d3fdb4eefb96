"""The chapter's slower tables, measured once and stored beside the checkpoint.

    python -m wmlearn.chapters.ch07_unisim.tables CHECKPOINT POLICIES --data FILES --out OUT.json

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
from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.chapters.ch07_unisim.record import load
from wmlearn.chapters.ch07_unisim.rooms import (
    PoseReader,
    Room,
    absent_mission,
    clip_of,
    dream_along,
    some_missions,
)
from wmlearn.data.clip import Clip
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.actions import Actions
from wmlearn.systems.unisim.simulator import PATH
from wmlearn.systems.unisim.system import UniSim

SEED = 20_000  # of real rooms
FORWARD = MOVES.index("go forward")
STEPS_AHEAD = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])


def told(estimate: Estimate) -> dict:
    """An estimate as JSON values."""
    known = {k: getattr(estimate, k) for k in ("value", "low", "high")}
    return {k: round(float(v), 4) for k, v in known.items() if v is not None}


def controls(model: UniSim, mixture: Mixture, count: int = 64, passes: int = 1) -> dict:
    """PSNR under true and other actions, for each format and horizon."""
    found, _ = control.measure(model, mixture, count, {"num_steps": passes})
    return {
        name: [{k: v if k == "horizon" else told(v) for k, v in vars(row).items()} for row in rows]
        for name, rows in found.items()
    }


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


# --- policies -----------------------------------------------------------------------------------


def movers(model: UniSim, policies: Path, episodes: int = 200, dreams: int = 100) -> dict:
    """BabyAI's policies: done in real rooms, and done inside by what the two models say."""
    acts = {"random": real.random_mover}
    readers = {}
    for name in ("mover-clone", "mover"):
        file = policies / f"{name}.safetensors"
        readers[name] = real.load_policy(file, model, "mover")
        acts[name] = real.mover(model, readers[name])
    result = {}
    for name, act in acts.items():
        row = {"real": told(real.play_babyai(act, episodes))}
        row |= inside(model, readers.get(name), dreams)
        result[name] = row
    return result


@torch.inference_mode()
def inside(model: UniSim, policy, count: int = 200, steps: int = 64, done: float = 0.5) -> dict:
    """The share of dreams in which a model of steps to go said fewer than ``done`` at some step."""
    world = model.world({"num_steps": 1})
    rooms = [Room(SEED + 5000 + i) for i in range(count)]
    mission = torch.tensor([room.env.mission for room in rooms])
    generator = torch.Generator().manual_seed(0)
    state = world.reset(clip_of(rooms))
    reached = {"reward": torch.zeros(count), "judge": torch.zeros(count)}
    odds = torch.ones(count, len(MOVES)) / len(MOVES)
    for _ in range(steps):
        if policy is not None:
            odds = policy(state.latent, mission).softmax(1)
        move = torch.multinomial(odds, 1, generator=generator)[:, 0]
        state = world.imagine(state, move, generator)
        for name in reached:
            left = world.steps_to_go(state, mission, judge=name == "judge")
            reached[name] = torch.maximum(reached[name], (left < done).float())
    return {f"inside, by the {k}": told(mean_estimate(v)) for k, v in reached.items()}


def reachers(model: UniSim, policies: Path, episodes: int = 100) -> dict:
    """The arm's policies in MuJoCo: the share within 5 cm, and the last distance in meters."""
    arms = {"random": None}
    for name in ("reacher-clone", "reacher"):
        file = policies / f"{name}.safetensors"
        if file.is_file():
            arms[name] = real.reacher(model, real.load_policy(file, model, "reacher"))
    result, successes = {}, {}
    for name, act in arms.items():
        share, distance, successes[name] = real.play_fetch(act, episodes)
        result[name] = {"success": told(share), "distance": told(distance)}
    if "reacher" in successes:
        gain = mean_estimate(successes["reacher"] - successes["reacher-clone"])
        result["reacher"]["gain over its clone"] = told(gain)
    return result


# --- what breaks --------------------------------------------------------------------------------


@torch.inference_mode()
def exploited(model: UniSim, starts: int = 16, most: int = 64, length: int = 8) -> dict:
    """Best of N random ways in a dream by the reward; what the judge and the real room say of it.

    All three are steps that are left, at the end of the chosen way; a mean over starts.
    """
    world, rng = model.world({"num_steps": 1}), np.random.default_rng(0)
    numbers = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256) if n <= most]
    said = {name: np.zeros((starts, len(numbers))) for name in ("reward", "judge", "real")}
    for i in range(starts):
        room = Room(SEED + i)
        far = sorted((m for m in room.env.possible() if m >= len(MOVES)), key=room.steps_to)
        mission = far[-1]
        moves = torch.from_numpy(rng.choice(3, (most, length), p=(0.25, 0.25, 0.5)))
        generator = torch.Generator().manual_seed(i)
        task, frame = torch.full((most,), mission), clip_of([room]).frames
        state = world.reset(Clip(frame.expand(most, -1, -1, -1, -1)))
        for t in range(length):
            state = world.imagine(state, moves[:, t], generator)
        reward = world.steps_to_go(state, task).numpy()
        judge = world.steps_to_go(state, task, judge=True).numpy()
        for j, n in enumerate(numbers):
            best = int(reward[:n].argmin())
            there = Room(SEED + i)
            for move in moves[best].tolist():
                there.say(move)
            steps = min(there.steps_to(mission), model.config.steps.most)
            for name, value in zip(said, (reward[best], judge[best], steps), strict=True):
                said[name][i, j] = value
    columns = {k: [told(mean_estimate(torch.from_numpy(c))) for c in v.T] for k, v in said.items()}
    return {"candidates": numbers, **columns}


def impossible(model: UniSim, rooms: int = 80) -> dict:
    """How often something moves where nothing can, and where it should."""
    world, read, rng = model.world(), PoseReader.learn(), np.random.default_rng(1)
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
        dreams, _, poses = dream_along(world, [room for room, _ in pairs], said)
        seen = read(dreams[:, 0])
        moved = (seen != before).any(1).double()
        right = (seen == poses[:, 0]).all(1).double()
        result[name] = {
            "moves in truth": round(float((poses[:, 0] != before).any(1).float().mean()), 4),
            "moves in the dream": told(mean_estimate(moved)),
            "as in truth": told(mean_estimate(right)),
        }
    return result


def chained(model: UniSim, rooms: int = 64, each: int = 8, missions: int = 4) -> dict:
    """Sentence after sentence: the share of dreams whose triangle stands as in the real room."""
    world, read, rng = model.world(), PoseReader.learn(), np.random.default_rng(2)
    places = [Room(SEED + 3000 + i) for i in range(rooms)]
    chosen = [some_missions(room, missions, rng) for room in places]
    said = torch.tensor(chosen).repeat_interleave(each, 1)
    rows = {"steps": list(range(1, said.shape[1] + 1))}
    for name, sentences in (
        ("missions", said),
        ("moves", torch.from_numpy(rng.choice(3, said.shape, p=(0.25, 0.25, 0.5)))),
    ):
        here = [Room(SEED + 3000 + i) for i in range(rooms)]
        dreams, _, poses = dream_along(world, here, sentences)
        seen = torch.stack([read(dreams[:, t]) for t in range(dreams.shape[1])], 1)
        right = (seen == poses).all(2).double()
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
    parser.add_argument("policies", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", default=[])
    parser.add_argument("--all_held_out", nargs="*", default=["fetch", "doom", "passive"],
                        help="worlds of which DATA holds nothing that was trained on")  # fmt: skip
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = hub.load(args.checkpoint)
    tables = {
        "exploited": lambda: exploited(model), "impossible": lambda: impossible(model),
        "chained": lambda: chained(model), "forgotten": lambda: forgotten(model),
        "movers": lambda: movers(model, args.policies),
        "reachers": lambda: reachers(model, args.policies), "speed": lambda: speed(model),
    }  # fmt: skip
    if args.data:
        recordings = {k: v for path in args.data for k, v in load(path).items()}
        mixture = Mixture(recordings, model.config, all_held_out=tuple(args.all_held_out))
        tables["what is said"] = lambda: what_is_said(model, mixture)
        tables["control"] = lambda: controls(model, mixture)
    found = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for name, table in tables.items():
        if args.only and name not in args.only:
            continue
        begin = time.monotonic()
        found[name] = table()
        print(
            f"{name}: {time.monotonic() - begin:.0f} s", json.dumps(found[name])[:600], flush=True
        )
        write_whole(args.out, json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
