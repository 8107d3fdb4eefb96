"""Trains a player of CoinRun with reinforcement learning, and packs its play as clips.

    python -m wmlearn.chapters.ch09_genie.record_player runs/coinrun-player --minutes 40

The video that chapter 9 clones from must show somebody who looks where he goes: the script of
``wmlearn.envs.experts`` wins no more levels than pressing its buttons blindly. So Proximal Policy
Optimization (Schulman et al. 2017) of Stable-Baselines3 plays all levels of CoinRun, three game
steps an action as in ``procgen/coinrun``. It stops after ``--minutes``; run again with
``--minutes 0``, it only records.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import envpool
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecMonitor
from torch import Tensor, nn

from wmlearn.agents.sb3 import SB3Env
from wmlearn.chapters.ch09_genie.latent_cloning import FrameClassifier
from wmlearn.data.record import record
from wmlearn.data.shipped import pack
from wmlearn.envs.procgen import MOVES
from wmlearn.files import assets_dir

FRAME_SKIP = 3
REPORT_EVERY = 20_480  # actions


class CoinRuns:
    """``procgen/coinrun``, many games of all levels at once, as a vector environment."""

    render_mode = None

    def __init__(self, games: int, seed: int = 3) -> None:
        self.games = envpool.make(
            "CoinrunEasy-v0", env_type="gymnasium", num_envs=games, num_threads=1, seed=seed,
            num_levels=0, start_level=0, use_backgrounds=False,
        )  # fmt: skip
        self.num_envs = games
        self.single_observation_space = Box(0, 255, (3, 64, 64), np.uint8)
        self.single_action_space = Discrete(len(MOVES))
        self._buttons = np.array(list(MOVES.values()), np.int32)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict]:
        return self.games.reset()[0], {}

    def step(self, actions: np.ndarray):
        reward = np.zeros(self.num_envs, np.float32)
        terminated, truncated = np.zeros((2, self.num_envs), bool)
        for _ in range(FRAME_SKIP):  # a game that ends on the way begins anew in the next step
            frames, paid, ended, cut, _ = self.games.step(self._buttons[actions])
            running = ~(terminated | truncated)
            reward += paid * running
            terminated |= ended & running
            truncated |= cut & ~ended & running
        return frames, reward, terminated, truncated, {"final_obs": frames}

    def close(self) -> None:
        self.games.close()


class Eyes(BaseFeaturesExtractor):
    """The network of those who will clone the player."""

    def __init__(self, space: Box) -> None:
        super().__init__(space, 256)
        self.net = nn.Sequential(FrameClassifier(256).layers, nn.ReLU())

    def forward(self, frames: Tensor) -> Tensor:
        return self.net(frames)


class Clock(BaseCallback):
    """Prints how it goes, saves, and stops when the time is over."""

    def __init__(self, minutes: float, file: Path) -> None:
        super().__init__()
        self.minutes, self.file, self.begin, self.next = minutes, file, time.monotonic(), 0

    def _on_step(self) -> bool:
        return time.monotonic() - self.begin < 60 * self.minutes

    def _on_rollout_end(self) -> None:
        if self.num_timesteps < self.next:
            return
        self.next = self.num_timesteps + REPORT_EVERY
        last = [episode["r"] for episode in self.model.ep_info_buffer]
        print(f"{self.num_timesteps} actions, return {np.mean(last):.1f}", flush=True)
        self.model.save(self.file)


def train(file: Path, minutes: float) -> None:
    games = VecMonitor(SB3Env(CoinRuns(64)))
    player = PPO(
        "CnnPolicy", games, n_steps=64, batch_size=512, n_epochs=3, gamma=0.98,
        learning_rate=lambda left: 6e-4 * max(left, 0.1), ent_coef=0.01, seed=0,
        policy_kwargs={"features_extractor_class": Eyes, "net_arch": []},
    )  # fmt: skip
    player.learn(1_500_000, callback=Clock(minutes, file))
    player.save(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--frames", type=int, default=6000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "player.zip"
    if args.minutes:
        train(file, args.minutes)
    player = PPO.load(file, device="cpu")

    def ppo(frame: np.ndarray) -> int:
        return int(player.predict(frame.transpose(2, 0, 1)[None], deterministic=True)[0][0])

    store = record(
        "procgen/coinrun", args.out / "play", frames=args.frames, policy=ppo, seed=8, max_steps=100
    )
    returns = [float(store[i].rewards.sum()) for i in range(len(store))]
    print(f"{len(store)} levels, mean return {np.mean(returns):.2f}")
    print(pack(store, assets_dir() / "clips" / "coinrun-ppo"))


if __name__ == "__main__":
    main()
