"""How policies fare in the real worlds: returns of the simulator, not of the dream.

    python -m wmlearn.chapters.ch07_unisim.real CHECKPOINT POLICIES --episodes 200 --out OUT.json

Every policy sees pictures alone, through the simulator's autoencoder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim.control import told
from wmlearn.chapters.ch07_unisim.policies import Reader
from wmlearn.data.clip import Clip
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES, SENTENCES
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.systems.unisim.system import UniSim

SEED = 10_000  # of the first episode; recordings draw theirs otherwise

Mover = Callable[[NDArray, int, np.random.Generator], int]
Reacher = Callable[[NDArray, NDArray], NDArray]


def latent_of(model: UniSim, frame: NDArray[np.uint8]) -> Tensor:
    """A frame ``[H, W, 3]`` as a latent ``[1, c, h, w]``."""
    with torch.inference_mode():
        return model.encode(torch.from_numpy(frame.copy()).permute(2, 0, 1)[None, None])[:, 0]


def load_policy(path: str | Path, model: UniSim, kind: str) -> Reader:
    """A policy that was saved; ``kind``: "mover" or "reacher"."""
    c, side = model.config.autoencoder.latent_channels, model.config.latent_size
    moves = kind == "mover"
    outputs = len(MOVES) if moves else model.config.dimensions
    policy = Reader(c, side, outputs, len(SENTENCES) if moves else 0)
    policy.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return policy.eval()


def mover(model: UniSim, policy: Reader, sample: bool = True) -> Mover:
    """BabyAI's policy as a function of a frame and a mission's number; it draws its moves."""

    def act(frame: NDArray, mission: int, rng: np.random.Generator) -> int:
        with torch.inference_mode():
            odds = policy(latent_of(model, frame), torch.tensor([mission])).softmax(1)[0].double()
        odds = odds.numpy() / odds.sum().item()
        return int(rng.choice(len(MOVES), p=odds)) if sample else int(odds.argmax())

    return act


def random_mover(frame: NDArray, mission: int, rng: np.random.Generator) -> int:
    """Any of the three moves."""
    return int(rng.integers(len(MOVES)))


def reacher(model: UniSim, policy: Reader) -> Reacher:
    """The arm's policy as a function of a frame and a picture of the goal."""

    def act(frame: NDArray, goal: NDArray) -> NDArray:
        with torch.inference_mode():
            motion = policy(latent_of(model, frame), goal=latent_of(model, goal)).tanh()[0]
        return motion.numpy()

    return act


def play_babyai(act: Mover, episodes: int = 200, seed: int = SEED) -> Estimate:
    """The share of episodes in which the mission was done within 64 moves."""
    env, done = make("babyai/go-to-local"), []
    for episode in range(episodes):
        frame, _ = env.reset(seed=seed + episode)
        rng, over = np.random.default_rng(episode), False
        while not over:
            frame, _, ended, cut, _ = env.step(act(frame, env.unwrapped.mission, rng))
            over = ended or cut
        done.append(float(ended))
    return mean_estimate(torch.tensor(done))


@torch.inference_mode()
def dream_babyai(
    model: UniSim, policy: Reader | None, episodes: int = 64, steps: int = 64, seed: int = SEED
) -> dict[str, Estimate]:
    """The same missions in dreams that begin at the same rooms; done as reward and judge see it.

    Args:
        model: the simulator.
        policy: of missions; ``None`` moves at random.
        episodes: rooms.
        steps: moves of a dream.
        seed: of the first room.
    """
    env, frames, missions = make("babyai/go-to-local"), [], []
    for episode in range(episodes):
        frame, _ = env.reset(seed=seed + episode)
        frames.append(frame.copy())
        missions.append(env.unwrapped.mission)
    world = model.world({"domain": "babyai", "num_steps": 1})
    mission, generator = torch.tensor(missions), torch.Generator().manual_seed(0)
    context = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[:, None].contiguous()
    state = world.reset(Clip(context))
    done = {name: torch.zeros(episodes, dtype=torch.bool) for name in ("reward", "judge")}
    for _ in range(steps):
        odds = torch.full((episodes, len(MOVES)), 1 / len(MOVES))
        if policy is not None:
            odds = policy(state.latent, mission).softmax(1)
        move = torch.multinomial(odds, 1, generator=generator)[:, 0]
        state = world.imagine(state, move, generator)
        for name in done:
            done[name] |= world.steps_to_go(state, mission, judge=name == "judge") < 0.5
    return {name: mean_estimate(each.double()) for name, each in done.items()}


def play_fetch(
    act: Reacher | None, episodes: int = 200, seed: int = SEED
) -> tuple[Estimate, Estimate, Tensor, Tensor]:
    """Reaching in MuJoCo, 25 motions; ``None`` moves at random.

    Returns:
        The share of episodes that end within 5 cm of the goal; the last distance in centimeters;
        and each episode's success and distance, for differences between policies.
    """
    env, near, far = make("fetch/reach").unwrapped, [], []
    for episode in range(episodes):
        frame, info = env.reset(seed=seed + episode)
        goal, _ = env.picture(env.goal)
        rng, over = np.random.default_rng(episode), False
        while not over:
            motion = rng.uniform(-1, 1, 3) if act is None else act(frame, goal)
            frame, _, _, over, info = env.step(motion)
        near.append(float(info["success"]))
        far.append(100 * float(np.linalg.norm(env.gripper - env.goal)))
    env.close()
    success, distance = torch.tensor(near), torch.tensor(far)
    return mean_estimate(success), mean_estimate(distance), success, distance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("policies", type=Path)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--only", nargs="+", default=["babyai", "fetch"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(hub.load(args.checkpoint), args.policies, args.episodes, args.only)
    if args.out:
        write_whole(args.out, json.dumps(found, indent=1))


def measured(
    model: UniSim, folder: Path, episodes: int = 200, only: Sequence[str] = ("babyai", "fetch")
) -> dict:
    """Every policy that lies in a folder, in the real worlds; those of missions in dreams, too."""
    found: dict = {}
    files = {file.stem: file for file in sorted(folder.glob("*.safetensors"))}
    movers = {"random": None} | {
        name: load_policy(file, model, "mover")
        for name, file in files.items()
        if name.startswith("mover")
    }
    for name, policy in movers.items() if "babyai" in only else ():
        act = random_mover if policy is None else mover(model, policy)
        inside = dream_babyai(model, policy, min(64, episodes))
        row = {"outside": told(play_babyai(act, episodes))}
        row |= {f"inside, by the {by}": told(share) for by, share in inside.items()}
        found.setdefault("babyai", {})[name] = row
        print(name, row, flush=True)
    arms = {"random": None} | {
        name: reacher(model, load_policy(file, model, "reacher"))
        for name, file in files.items()
        if name.startswith("reacher")
    }
    successes, last = {}, {}
    for name, arm in arms.items() if "fetch" in only else ():
        share, distance, successes[name], last[name] = play_fetch(arm, episodes)
        row = {"within 5 cm": told(share), "centimeters": told(distance)}
        if name not in ("random", "reacher-clone") and "reacher-clone" in successes:
            gain = successes[name] - successes["reacher-clone"]
            nearer = last[name] - last["reacher-clone"]
            row["more often than the clone"] = told(mean_estimate(gain))
            row["centimeters beyond the clone"] = told(mean_estimate(nearer))
        found.setdefault("fetch", {})[name] = row
        print(name, row, flush=True)
    return found


if __name__ == "__main__":
    main()
