"""Does one latent action mean one motion? Each is held in many unseen levels.

    python -m wmlearn.chapters.ch09_genie.action_motion genie-coinrun --levels 50

In each level the script plays a few steps and lets the hero come to rest. A start counts if from
there the game's own left, right and jump move the hero as they should, so that no wall decides.
Then each latent action is held in the dream, from the same picture. What is printed: the motion in
most levels, and the share of levels in which it is that one.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from wmlearn import envs, hub
from wmlearn.chapters.ch09_genie.scroll import MOTIONS, classify_motion, same_motion
from wmlearn.data.clip import Clip
from wmlearn.envs.experts import ExpertPolicy

ACTIONS = {"right": "right", "left": "left", "jump": "up", "noop": "still"}
REST = 6  # steps without an action


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("world", help="a Genie that learned from CoinRun")
    parser.add_argument("--levels", type=int, default=50)
    parser.add_argument("--steps", type=int, default=3, help="for which an action is held")
    parser.add_argument("--seed", type=int, default=900_000, help="of the first level")
    args = parser.parse_args()
    torch.set_num_threads(1)
    world, env = hub.load(args.world).world(), envs.make("procgen/coinrun")
    world.longest = None  # what a latent does, not how long a player may hold it
    starts, seed = [], args.seed
    while len(starts) < args.levels:
        for action, kind in ACTIONS.items():
            film = hold_action(env, seed, action, args.steps)
            if film is None or moved(film) != kind:
                break
        else:
            starts.append(film[0])  # the same for every action
        seed += 1
    print(f"{len(starts)} free starts in {seed - args.seed} levels")
    dream = same_motion(world, Clip(torch.stack(starts)[:, None]), args.steps)
    for code, (usual, share) in enumerate(zip(dream.usual, dream.share.tolist(), strict=True)):
        print(f"latent {code}: {usual}, in {100 * share:.0f} % of the levels")


def moved(film: torch.Tensor) -> str:
    return MOTIONS[int(classify_motion(film[None])[0])]


def hold_action(env, seed: int, action: str, steps: int) -> torch.Tensor | None:
    """A level's film uint8 ``[steps + 1, C, H, W]``; None if it ended before that."""
    frame, _ = env.reset(seed=seed)
    act, noop = ExpertPolicy(env), env.action_names.index("noop")
    run = int(np.random.default_rng(seed).integers(4, 12))
    film = []
    for t in range(run + REST + steps):
        press = env.action_names.index(action) if t >= run + REST else noop
        frame, _, terminated, truncated, _ = env.step(act(frame) if t < run else press)
        if terminated or truncated:
            return None
        if t >= run + REST - 1:
            film.append(torch.from_numpy(frame).permute(2, 0, 1))
    return torch.stack(film)


if __name__ == "__main__":
    main()
