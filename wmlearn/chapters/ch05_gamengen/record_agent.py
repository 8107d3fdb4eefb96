"""Records an agent while it learns to play, as GameNGen's data were made.

    python -m wmlearn.chapters.ch05_gamengen.record_agent runs/defend --decisions 80000

Proximal Policy Optimization (Schulman et al. 2017) of Stable-Baselines3 plays eight games of
``doom/defend-the-center-hud`` at the same time. It decides every 4 tics; the recording has a frame
every 2. All of its episodes are kept, then a random subset of them in random order becomes the
dataset ``OUT/agent``, so that skill of every stage is in the training part and in the held-out
part. ``OUT/curve.json`` holds the returns in the order of learning, ``OUT/agent/episodes.json``
what each episode of the subset is (its place in the learning, its return), ``OUT/player.zip`` the
player.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.envs import make

ENV = "doom/defend-the-center-hud"
STEPS_PER_DECISION = 2


class Recorder(gymnasium.Wrapper):
    """Holds each action for two steps, and hands every finished episode to ``keep``.

    Args:
        env: the game.
        keep: is called with each :class:`Episode`.
        seed: of the first episode; later ones follow from it.
    """

    def __init__(self, env: gymnasium.Env, keep: Callable[[Episode], None], seed: int) -> None:
        super().__init__(env)
        self._keep, self._seed = keep, seed

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        frame, info = self.env.reset(seed=self._seed, options=options)
        self._seed = None  # from here on the game's own generator draws the episodes
        self._frames, self._states, self._steps = [frame], [info["state"]], []
        return frame, info

    def step(self, action):
        total = 0.0
        for _ in range(STEPS_PER_DECISION):
            frame, reward, terminated, truncated, info = self.env.step(action)
            self._frames.append(frame)
            self._states.append(info["state"])
            self._steps.append((int(action), reward, terminated, truncated))
            total += reward
            if terminated or truncated:
                self._keep(self._episode())
                break
        return frame, total, terminated, truncated, info

    def _episode(self) -> Episode:
        actions, rewards, terminated, truncated = zip(*self._steps, strict=True)
        return Episode(
            frames=np.stack(self._frames).transpose(0, 3, 1, 2),
            actions=np.array(actions, np.int64),
            rewards=np.array(rewards, np.float32),
            terminated=np.array(terminated),
            truncated=np.array(truncated),
            state=np.array(self._states, np.float32),
        )


class Report(BaseCallback):
    """Prints the mean return of the last episodes after every rollout."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every, self.next, self.begin = every, 0, time.monotonic()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps >= self.next:
            self.next += self.every
            last = [episode["r"] for episode in self.model.ep_info_buffer]
            seconds = time.monotonic() - self.begin
            mean = np.mean(last) if last else float("nan")
            print(f"{self.num_timesteps} decisions, {seconds:.0f} s, return {mean:.2f}", flush=True)


def writer(path: Path, env: gymnasium.Env, **info) -> EpisodeWriter:
    game = env.unwrapped
    channels_first = (3, *env.observation_space.shape[:2])
    return EpisodeWriter(
        path, env.action_space, channels_first, env=ENV, action_names=game.action_names,
        state_names=game.state_names, frame_skip=game.frame_skip, **info,
    )  # fmt: skip


def learn(out: Path, decisions: int, seed: int, games: int = 8) -> list[dict]:
    """Trains the player, writes its episodes to ``OUT/all`` and returns their facts in order."""
    envs = [make(ENV) for _ in range(games)]
    everything = writer(out / "all", envs[0], policy="ppo-while-it-learns", seed=seed)
    facts: list[dict] = []

    def keep(episode: Episode) -> None:
        everything.write(episode)
        facts.append(
            {
                "decisions": int(model.num_timesteps),
                "steps": len(episode.actions),
                "return": float(episode.rewards.sum()),
                "kills": float(episode.state[-1, 2]),
            }
        )

    numbers = np.random.SeedSequence(seed).generate_state(games)
    makers = [
        (lambda env=env, number=number: Recorder(env, keep, int(number)))
        for env, number in zip(envs, numbers, strict=True)
    ]
    model = PPO(
        "CnnPolicy", VecMonitor(DummyVecEnv(makers)), n_steps=128, batch_size=256, n_epochs=4,
        gamma=0.97, gae_lambda=0.9, learning_rate=lambda left: 5e-4 * max(left, 0.2),
        ent_coef=0.02, seed=seed, policy_kwargs={"features_extractor_kwargs": {"features_dim":
        256}},
    )  # fmt: skip
    model.learn(decisions, callback=Report(8192))
    model.save(out / "player.zip")
    (out / "curve.json").write_text(json.dumps({"seed": seed, "episodes": facts}) + "\n")
    for env in envs:
        env.close()
    return facts


def subset(out: Path, facts: list[dict], frames: int, seed: int) -> EpisodeStore:
    """A random subset of the episodes, in random order, of at least ``frames`` frames."""
    everything = EpisodeStore(out / "all")
    env = make(ENV)
    chosen = writer(out / "agent", env, policy="ppo-while-it-learns", seed=seed)
    env.close()
    kept = []
    for number in np.random.default_rng([seed, 1]).permutation(len(everything)).tolist():
        if chosen.num_frames >= frames:
            break
        chosen.write(everything[number])
        kept.append(facts[number])
    (out / "agent" / "episodes.json").write_text(json.dumps(kept) + "\n")
    return EpisodeStore(out / "agent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--decisions", type=int, default=80_000)
    parser.add_argument("--frames", type=int, default=80_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    facts = learn(args.out, args.decisions, args.seed)
    store = subset(args.out, facts, args.frames, args.seed)
    print(f"{store.path}: {store.num_frames:,} frames in {len(store)} episodes.")


if __name__ == "__main__":
    main()
