"""Records the finished player, with decisions at random mixed in, by several processes at once.

    python -m wmlearn.chapters.ch05_gamengen.record_player runs/defend/player.zip \\
        runs/defend/more --frames 250000 --workers 14

It adds play of every skill to what ``record_agent`` recorded: of each episode's decisions 0, 25, 50
or 75 % are random, or all of them (held for three steps), and the player takes its likeliest
action, or draws one. Each worker writes a dataset of its own, ``OUT/0``, ``OUT/1`` and so on.
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from stable_baselines3 import PPO

from wmlearn.chapters.ch05_gamengen.record_agent import writer
from wmlearn.data.episodes import Episode
from wmlearn.envs import make

ENV = "doom/defend-the-center-hud"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 0.0)  # of decisions at random
LONGEST = 700  # steps


def play_episode(env, model: PPO, rng: np.random.Generator) -> Episode:
    """One episode of a player whose skill is drawn."""
    share, surely = SHARES[rng.integers(len(SHARES))], bool(rng.random() < 0.5)
    hold = 3 if share == 1 else 2
    frame, info = env.reset(seed=int(rng.integers(2**31)))
    frames, states, steps, action = [frame], [info["state"]], [], 0
    while len(steps) < LONGEST:
        if len(steps) % hold == 0:
            if rng.random() < share:
                action = int(rng.integers(env.action_space.n))
            else:
                action = int(model.predict(frame.transpose(2, 0, 1), deterministic=surely)[0])
        frame, reward, terminated, truncated, info = env.step(action)
        frames.append(frame)
        states.append(info["state"])
        steps.append((action, reward, terminated, truncated))
        if terminated or truncated:
            break
    actions, rewards, terminated, truncated = zip(*steps, strict=True)
    return Episode(
        frames=np.stack(frames).transpose(0, 3, 1, 2),
        actions=np.array(actions, np.int64),
        rewards=np.array(rewards, np.float32),
        terminated=np.array(terminated),
        truncated=np.array(truncated),
        state=np.array(states, np.float32),
    )


def work(player: Path, out: Path, frames: int, seed: int, number: int) -> None:
    """One worker: episodes until there are so many frames."""
    torch.set_num_threads(1)
    env, model = make(ENV), PPO.load(player, device="cpu")
    rng = np.random.default_rng([seed, number])
    store = writer(out / str(number), env, policy="player-and-random", seed=seed)
    while store.num_frames < frames:
        store.write(play_episode(env, model, rng))
    env.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("player", type=Path, help="player.zip of record_agent")
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=250_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    each = -(-args.frames // args.workers)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(args.player, args.out, each, args.seed, number))
        for number in range(args.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("A worker failed; the datasets hold what was recorded until then.")


if __name__ == "__main__":
    main()
