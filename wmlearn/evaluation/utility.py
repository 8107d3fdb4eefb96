"""Utility: how good are policies from the dream? They are played in the real environment.

A policy is a :class:`wmlearn.agents.policy.Policy`. All returns are sums of the environment's own
rewards, without discount.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import gymnasium
import torch
from torch import Tensor

from wmlearn.agents.policy import Policy
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.envs import make
from wmlearn.envs.experts import EXPERTS, begin_episode, make_policy, policy_kwargs
from wmlearn.evaluation.card import PolicyReturn, Utility
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.world import Needs, World

NEEDS = Needs(rewards=True, frames=True)


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
    on_tensors = isinstance(policy, Policy)
    returns = torch.zeros(episodes, dtype=torch.float64)
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        if on_tensors:
            policy.reset(1)
        else:
            begin_episode(policy, seed + episode)
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
    NEEDS.check("A policy in the dream", world)
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
) -> tuple[dict[str, tuple[float, float]], Estimate | None]:
    """Values of several policies in the dream and in the real environment, and their ranks.

    Returns:
        ``{name: (mean return in the dream, mean return in the real environment)}`` and
        Spearman's rank correlation of the two, with the interval of :func:`over_episodes`.
    """
    dreamed, real = {}, {}
    for name, policy in policies.items():
        dreamed[name] = play_dream(policy, world, context, steps, seed)
        real[name] = play_episodes(policy, env, episodes, seed, **make_options)
    values = {name: (dreamed[name].mean().item(), real[name].mean().item()) for name in policies}
    return values, rank_estimate(list(dreamed.values()), list(real.values()), seed=seed)


def rank_estimate(
    dreamed: Sequence[Tensor], real: Sequence[Tensor], resamples: int = 1000, seed: int = 0
) -> Estimate | None:
    """Rank correlation of the policies' mean returns; see :func:`over_episodes`."""
    return over_episodes(rank_correlation, dreamed, real, resamples, seed)


def over_episodes(
    measure: Callable[[Tensor, Tensor], float | None],
    dreamed: Sequence[Tensor],
    real: Sequence[Tensor],
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate | None:
    """A measure of mean returns, with a 95% interval over other draws of the episodes (bootstrap).

    The interval says what more episodes would change, not what other policies would.

    Args:
        measure: of two float64 tensors ``[policies]``, mean returns in the dream and in the
            environment; ``None`` where it is not defined.
        dreamed, real: returns ``[episodes]`` of each policy; the numbers of episodes may differ.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        ``n`` is the number of policies; ``None`` where the measure is.
    """
    sides = [[x.double() for x in side] for side in (dreamed, real)]
    value = measure(*(torch.stack([x.mean() for x in side]) for side in sides))
    if value is None:
        return None
    generator = torch.Generator().manual_seed(seed)

    def again(returns: Tensor) -> Tensor:
        return returns[torch.randint(len(returns), (len(returns),), generator=generator)].mean()

    drawn = (
        measure(*(torch.stack([again(x) for x in side]) for side in sides))
        for _ in range(resamples)
    )
    known = torch.tensor([x for x in drawn if x is not None], dtype=torch.float64)
    low, high = known.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Estimate(value, low, high, n=len(sides[0]), seeds=(seed,))


def measure_utility(
    policies: Mapping[str, Policy],
    ranked: Mapping[str, Policy],
    world: World,
    store: EpisodeStore,
    starts: Clip,
    episodes: int,
    say: Callable[[str], None],
) -> Utility:
    """Returns in the environment that the data comes from, beside random and expert.

    Args:
        policies: name -> policy, trained in the world.
        ranked: name -> policy, for the rank correlation; none leaves it out.
        world: to dream in, for the rank correlation.
        store: says which environment, and how it was made.
        starts: real clips, where the dreams begin.
        episodes: of each policy.
        say: called with a line of text before each part.
    """
    env_id = store.info["env"]
    options = {"size": store.frame_shape[-1], **store.info.get("env_kwargs", {})}
    players: dict[str, Policy | str] = {**policies, "random": "random"}
    if env_id in EXPERTS:
        players["scripted expert"] = "expert"
    returns = []
    for name, policy in players.items():
        say(f"{name}: {episodes} episodes of {env_id}")
        values = play_episodes(policy, env_id, episodes, **options)
        returns.append(PolicyReturn(name, mean_estimate(values)))
    correlation = None
    if ranked:
        say(f"values of {len(ranked)} policies in the dream and in {env_id}")
        _, correlation = compare_values(ranked, world, starts, env_id, episodes, **options)
    return Utility(env_id, episodes, tuple(returns), correlation, len(ranked) or None)
