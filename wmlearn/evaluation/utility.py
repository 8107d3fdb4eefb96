"""Utility: is the dream good for something? Policies are played in the real environment.

A policy is an object with ``reset(batch)``, called before episodes start, and
``act(frames) -> int64 [B]`` for uint8 frames ``[B, C, H, W]``. All returns are sums of the
environment's own rewards, without discount.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import gymnasium
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.envs import make
from wmlearn.envs.experts import make_policy, policy_kwargs
from wmlearn.world import World


class Policy(Protocol):
    def reset(self, batch: int) -> None: ...

    def act(self, frames: Tensor) -> Tensor: ...


class RandomPolicy:
    """Every action of a discrete space is as likely."""

    def __init__(self, actions: int, seed: int = 0) -> None:
        self.actions = actions
        self.generator = torch.Generator().manual_seed(seed)

    def reset(self, batch: int) -> None:
        pass

    def act(self, frames: Tensor) -> Tensor:
        return torch.randint(self.actions, (len(frames),), generator=self.generator)


class Mixture:
    """Follows ``policy``, but acts at random in a share ``epsilon`` of the steps.

    Mixtures of a good and a random policy are policies of known order: what a rank correlation
    needs.
    """

    def __init__(self, policy: Policy, actions: int, epsilon: float, seed: int = 0) -> None:
        self.policy, self.epsilon = policy, epsilon
        self.random = RandomPolicy(actions, seed)

    def reset(self, batch: int) -> None:
        self.policy.reset(batch)

    def act(self, frames: Tensor) -> Tensor:
        action, other = self.policy.act(frames).cpu(), self.random.act(frames)
        explore = torch.rand(len(frames), generator=self.random.generator) < self.epsilon
        return torch.where(explore, other, action)


def play_episodes(
    policy: Policy | str | Callable,
    env: str | gymnasium.Env,
    episodes: int = 100,
    seed: int = 0,
    max_steps: int = 10_000,
    **make_options,
) -> Tensor:
    """Returns of a policy in the real environment.

    Episode i starts with seed ``seed + i``, so that all policies meet the same episodes.

    Args:
        policy: as above; or ``random`` (a fresh uniform draw at every step) or ``expert`` (the
            script of :mod:`wmlearn.envs.experts`); or a function of the frame ``[H, W, C]``.
        env: an id of :func:`wmlearn.envs.make`, or an environment that shows uint8
            ``[H, W, C]``; the latter is left open.
        max_steps: an episode that has not ended by then is cut.
        make_options: for :func:`wmlearn.envs.make`.

    Returns:
        float64 ``[episodes]``, the undiscounted returns.
    """
    if isinstance(env, str):
        named = policy_kwargs(env, policy) if isinstance(policy, str) else {}
        real = make(env, **make_options, **named)
        try:
            return play_episodes(policy, real, episodes, seed, max_steps)
        finally:
            real.close()
    if isinstance(policy, str):
        policy = make_policy(policy, env, seed, hold=1)
    on_tensors = hasattr(policy, "act")
    returns = torch.zeros(episodes, dtype=torch.float64)
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        if hasattr(policy, "reset"):
            policy.reset(1 if on_tensors else seed + episode)
        for _ in range(max_steps):
            if on_tensors:
                frame = torch.tensor(observation).permute(2, 0, 1)[None].contiguous()
                action = int(policy.act(frame)[0])
            else:
                action = policy(observation)
            observation, reward, terminated, truncated, _ = env.step(action)
            returns[episode] += float(reward)
            if terminated or truncated:
                break
    return returns


@torch.inference_mode()
def play_dream(
    policy: Policy, world: World, context: Clip, steps: int = 100, seed: int = 0
) -> Tensor:
    """Returns of a policy inside a world, from the frames of ``context`` on.

    Rewards are in the world's units (often only the sign of the real reward), so that these
    returns rank policies but are not returns of the real environment.

    Returns:
        float64 ``[B]``: sums of reward until the world ends the episode or ``steps`` are over.
    """
    generator = torch.Generator().manual_seed(seed)
    state, frame = world.reset(context), context.frames[:, -1]
    policy.reset(len(context))
    returns = torch.zeros(len(context), dtype=torch.float64)
    alive = torch.ones(len(context), dtype=torch.bool)
    for _ in range(steps):
        state, step = world.step(state, policy.act(frame), generator)
        returns += step.reward.double().cpu() * alive
        alive &= ~step.terminated.cpu()
        frame = step.frame
    return returns


def rank_correlation(first: Tensor, second: Tensor) -> float | None:
    """Spearman's rank correlation, -1..1, of two lists of values (equal values share a rank).

    ``None`` when all values of one list are equal: then there is no rank to compare.
    """
    from scipy.stats import spearmanr

    first, second = (torch.as_tensor(x, dtype=torch.float64) for x in (first, second))
    if len(first) != len(second) or len(first) < 3:
        raise ValueError("A rank correlation needs two lists of the same three or more policies.")
    if (first == first[0]).all() or (second == second[0]).all():
        return None
    return float(spearmanr(first.numpy(), second.numpy()).statistic)


def compare_values(
    policies: Mapping[str, Policy],
    world: World,
    context: Clip,
    env: str | gymnasium.Env,
    episodes: int = 30,
    steps: int = 100,
    seed: int = 0,
    **make_options,
) -> tuple[dict[str, tuple[float, float]], float | None]:
    """Values of several policies in the dream and in the real environment, and their ranks.

    Returns:
        ``{name: (mean return in the dream, mean return in the real environment)}`` and
        Spearman's rank correlation of the two.
    """
    values = {
        name: (
            play_dream(policy, world, context, steps, seed).mean().item(),
            play_episodes(policy, env, episodes, seed, **make_options).mean().item(),
        )
        for name, policy in policies.items()
    }
    dreamed, real = torch.tensor(list(values.values()), dtype=torch.float64).T
    return values, rank_correlation(dreamed, real)
