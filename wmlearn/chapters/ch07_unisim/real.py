"""How policies fare in the real worlds: returns of the simulator, not of the dream.

    python -m wmlearn.chapters.ch07_unisim.real CHECKPOINT POLICIES --episodes 200

Every policy sees pictures alone, through the simulator's autoencoder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim.policies import Reader
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES, SENTENCES
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
            frame, _, ended, cut, _ = env.step(act(frame, env.mission, rng))
            over = ended or cut
        done.append(float(ended))
    return mean_estimate(torch.tensor(done))


def play_fetch(
    act: Reacher | None, episodes: int = 200, seed: int = SEED
) -> tuple[Estimate, Estimate, Tensor]:
    """Reaching in MuJoCo, 25 motions; ``None`` moves at random.

    Returns:
        The share of episodes that end within 5 cm of the goal; the last distance in metres; and
        each episode's success, for differences between policies.
    """
    env, near, far = make("fetch/reach"), [], []
    for episode in range(episodes):
        frame, info = env.reset(seed=seed + episode)
        goal, _ = env.picture(env.goal)
        rng, over = np.random.default_rng(episode), False
        while not over:
            motion = rng.uniform(-1, 1, 3) if act is None else act(frame, goal)
            frame, _, _, over, info = env.step(motion)
        near.append(float(info["success"]))
        far.append(float(np.linalg.norm(env.gripper - env.goal)))
    env.close()
    success = torch.tensor(near)
    return mean_estimate(success), mean_estimate(torch.tensor(far)), success


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("policies", type=Path)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, found = hub.load(args.checkpoint), {}
    movers = {"random": random_mover}
    for name in ("mover-clone", "mover"):
        file = args.policies / f"{name}.safetensors"
        movers[name] = mover(model, load_policy(file, model, "mover"))
    for name, act in movers.items():
        found[name] = vars(play_babyai(act, args.episodes))
        print(name, found[name], flush=True)
    reachers: dict[str, Reacher | None] = {"random arm": None}
    for name in ("reacher-clone", "reacher"):
        file = args.policies / f"{name}.safetensors"
        reachers[name] = reacher(model, load_policy(file, model, "reacher"))
    successes = {}
    for name, arm in reachers.items():
        share, distance, successes[name] = play_fetch(arm, args.episodes)
        found[name] = {"success": vars(share), "distance": vars(distance)}
        print(name, found[name], flush=True)
    gain = mean_estimate(successes["reacher"] - successes["reacher-clone"])
    found["reacher minus clone"] = vars(gain)
    print("reacher minus clone", gain, flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
