"""Do dreams of DOOM pay the policies what the engine pays them?

    python -m wmlearn.chapters.ch05_gamengen.policies gamengen-doom runs/defend

Five policies from random to expert: the trained player of ``record_agent``, which acts at random
in a share of its decisions. All start at the beginning of episodes, the dreams in held-out ones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.measure import held_out
from wmlearn.chapters.ch05_gamengen.record_agent import ENV, STEPS_PER_DECISION
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.closed_loop import ClosedLoop, closed_loop
from wmlearn.files import write_whole

RANDOM_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Player:
    """The trained player; a share ``random`` of its decisions is drawn uniformly.

    Args:
        file: ``player.zip`` of ``record_agent``.
        random: 0 plays as it learned, 1 at random.
        seed: of what is drawn.
    """

    def __init__(self, file: Path, random: float, seed: int = 0) -> None:
        from stable_baselines3 import PPO

        self.model, self.random = PPO.load(file, device="cpu"), random
        self.generator = torch.Generator().manual_seed(seed)

    def reset(self, batch: int) -> None:
        self._step, self._held = 0, torch.zeros(batch, dtype=torch.long)

    def act(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` -> int64 ``[B]``; a decision holds for two steps."""
        if self._step % STEPS_PER_DECISION == 0:
            chosen = torch.from_numpy(self.model.predict(frames.numpy(), deterministic=True)[0])
            drawn = torch.randint(
                self.model.action_space.n, (len(frames),), generator=self.generator
            )
            at_random = torch.rand(len(frames), generator=self.generator) < self.random
            self._held = torch.where(at_random, drawn, chosen.long())
        self._step += 1
        return self._held


def beginnings(store: EpisodeStore, frames: int, count: int) -> Clip:
    """The first frames of held-out episodes."""
    numbers = [i for i in held_out(store) if store.lengths[i] > frames][:count]
    return store.clip([(i, 0) for i in numbers], frames)


def compare(world, store: EpisodeStore, player: Path, episodes: int, steps: int) -> ClosedLoop:
    """Plays the five policies in the dream and in the engine."""
    policies = {f"{1 - share:.0%} player": Player(player, share) for share in RANDOM_SHARES}
    starts = beginnings(store, world.context_frames, episodes)
    return closed_loop(policies, world, starts, ENV, episodes, steps, seed=1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path, help="what record_agent wrote")
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--out", type=Path, help="write the returns here, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    world, store = hub.load_world(args.checkpoint), EpisodeStore(args.data / "agent")
    result = compare(world, store, args.data / "player.zip", args.episodes, args.steps)
    for name, (dreamed, real) in result.means().items():
        print(f"{name:12s} dream {dreamed.format(2):22s} engine {real.format(2)}")
    for name in ("spearman", "pearson", "bias"):
        value = getattr(result, name)()
        print(f"{name:12s} {value.format(2) if value else 'all returns are equal'}")
    if args.out:
        returns = {
            name: {"dream": dreamed.tolist(), "engine": real.tolist()}
            for name, dreamed, real in zip(result.names, result.dreamed, result.real, strict=True)
        }
        write_whole(args.out, json.dumps({"steps": result.steps, "returns": returns}) + "\n")


if __name__ == "__main__":
    main()
