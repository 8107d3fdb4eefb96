"""evaluate(): a world and recorded episodes in, an EvaluationCard out; and its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import gymnasium
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.envs.experts import EXPERTS
from wmlearn.evaluation.card import (
    ControlAt,
    Controllability,
    Curve,
    EvaluationCard,
    Fidelity,
    FidelityAt,
    PolicyReturn,
    Probe,
    Utility,
)
from wmlearn.evaluation.controllability import derangement, train_probe
from wmlearn.evaluation.cost import measure_cost
from wmlearn.evaluation.features import judge_features
from wmlearn.evaluation.latent_actions import score_latent_actions
from wmlearn.evaluation.rollout import draw_windows, infer_batches, rollout_batches
from wmlearn.evaluation.utility import Mixture, Policy, compare_values, play_episodes
from wmlearn.metrics import RandomFeatures, frechet_estimate, mean_estimate, psnr, ssim
from wmlearn.world import World

_PROBE_STEPS_AHEAD = 16  # the probe judges the transitions up to this horizon


def evaluate(
    world: World,
    data: ClipDataModule | EpisodeStore | str | Path,
    *,
    horizons: Sequence[int] = (1, 8, 32),
    clips: int = 64,
    seeds: Sequence[int] = (0, 1, 2),
    holdout: float = 0.1,
    batch_size: int = 32,
    probe_steps: int = 500,
    cost: bool = True,
    training_minutes: float | None = None,
    policies: Mapping[str, Policy] | None = None,
    ranked: Mapping[str, Policy] | None = None,
    episodes: int = 100,
    name: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> EvaluationCard:
    """Judges a world on episodes that it was not trained on.

    For each horizon, clips of just that length are drawn from the held-out episodes, uniformly
    over all windows that fit; every baseline and every seed sees the same clips. The dream under
    true actions and the dream under another clip's actions use the same noise. A world with latent
    actions dreams under those that it infers from the clip, and under random ones.

    Args:
        data: an ``EpisodeStore``, its folder, or the ``ClipDataModule`` of the training (whose
            split is then used).
        clips: for each horizon.
        seeds: of the world's noise and of the shuffled actions.
        holdout: share of the episodes, the last ones, that are held out.
        batch_size: rollouts side by side; changes the noise, not the method.
        probe_steps: training steps of the inverse-dynamics probe; 0 leaves it out.
        cost: whether to measure parameters, FLOPs and speed.
        policies: name -> policy, trained in the world; played in the real environment that the
            data comes from, beside random and expert. Without any, utility is not measured.
        ranked: name -> policy, three or more of different skill (checkpoints, or
            :class:`~wmlearn.evaluation.utility.Mixture`), played in the dream and in reality for
            the rank correlation of their values.
        episodes: played by each policy.
        name: of the world, for the card; default its class name.
        progress: called with a line of text before each part, e.g. ``print``.

    Raises:
        ValueError: when no horizon fits, or world and data do not belong together.
    """
    say = progress or (lambda text: None)
    store, train, held_out = _split(data, holdout)
    horizons = sorted(set(horizons))
    if not horizons or horizons[0] < 1 or not seeds:
        raise ValueError("Horizons are steps ahead, 1 or more; and at least one seed is needed.")
    context = world.context_frames
    lengths = store.lengths.tolist()
    extractor = RandomFeatures(world.frame_shape[0])

    fidelity, control, left_out = [], [], []
    last: _Rollouts | None = None
    for horizon in horizons:
        windows = draw_windows(lengths, held_out, context + horizon, clips)
        if len(windows) < 2:
            left_out.append(horizon)
            continue
        say(f"{len(windows)} clips, {len(seeds)} seeds, {horizon} steps ahead")
        last = _roll(world, store, windows, horizon, seeds, batch_size)
        too_short = sum(lengths[episode] < context + horizon for episode in held_out)
        others = draw_windows(lengths, train, 1, len(windows), seed=1)
        real = store.clip(others, 1).frames[:, 0] if len(others) == len(windows) else None
        fidelity.append(_fidelity_at(last, too_short, extractor, real))
        if last.other is not None:
            control.append(_control_at(last))
    if last is None:
        raise ValueError(
            f"The {len(held_out)} held-out episodes have at most "
            f"{max((lengths[episode] for episode in held_out), default=0)} frames, too few for "
            f"{context} context frames and {horizons[0]} more: record longer or more episodes, "
            "or ask for shorter horizons."
        )

    controllability = None
    if control:
        probe = None
        if probe_steps and isinstance(store.action_space, gymnasium.spaces.Discrete):
            say(f"inverse-dynamics probe, {probe_steps} training steps")
            probe = _probe(last, store, train, probe_steps)
        controllability = Controllability(tuple(control), probe)
    utility = None
    if policies or ranked:
        first = [(episode, 0) for episode in held_out if lengths[episode] >= context]
        starts = store.clip(first, context)
        utility = _utility(policies or {}, ranked or {}, world, store, starts, episodes, say)
    measured = None
    if cost and last.other is not None:
        say("cost")
        measured = measure_cost(
            world, replace(last.clip, actions=last.pressed), training_minutes=training_minutes
        )
    latent = None
    if _is_latent(world) and isinstance(store.action_space, gymnasium.spaces.Discrete):
        say("latent actions against the true ones")
        latent = score_latent_actions(world, store, train, held_out)
    info = store.info
    return EvaluationCard(
        name=name or type(world).__name__,
        environment=str(info.get("env", "unknown environment")),
        policy=str(info.get("policy", "unknown")),
        held_out=len(held_out),
        context_frames=context,
        seeds=tuple(seeds),
        left_out=tuple(left_out),
        fidelity=Fidelity(tuple(fidelity), _curve(last)),
        controllability=controllability,
        utility=utility,
        cost=measured,
        latent_actions=latent,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``wmlearn evaluate``."""
    parser.add_argument("checkpoint", help="name or folder of a checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="folder of recorded episodes")
    parser.add_argument("--out", type=Path, help="where to write the card (JSON)")
    parser.add_argument("--figure", type=Path, help="where to draw the card (.png, .svg)")
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--clips", type=int, default=64, help="for each horizon (default 64)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--holdout", type=float, default=0.1, help="held-out share of episodes")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        help="checkpoint of a policy trained in the world: play it in the real environment",
    )
    parser.add_argument("--episodes", type=int, default=100, help="for each policy (default 100)")
    parser.add_argument("--probe_steps", type=int, default=500, help="0 leaves the probe out")


def run(args: argparse.Namespace) -> None:
    """Runs ``wmlearn evaluate`` and prints the card.

    The rank correlation is that of the first policy's mixtures with 0, 25, 50, 75 and 100 % of
    random actions.
    """
    from wmlearn import hub
    from wmlearn.agents.actor_critic import Player

    facts = hub.read_card(args.checkpoint)
    world = hub.load_world(args.checkpoint)
    if hasattr(world, "encode"):
        store, _, held_out = _split(args.data, args.holdout)
        print(judge_features(world, store, held_out, args.horizons, args.clips))
        return
    networks = {hub.find(name).name: hub.load(name) for name in args.policy}
    ranked = {
        f"{share:.0%} random": Mixture(Player(network), int(world.action_space.n), share)
        for network in list(networks.values())[:1]
        for share in (0, 0.25, 0.5, 0.75, 1)
    }
    card = evaluate(
        world,
        args.data,
        horizons=args.horizons,
        clips=args.clips,
        seeds=args.seeds,
        holdout=args.holdout,
        probe_steps=args.probe_steps,
        training_minutes=facts.get("minutes"),
        policies={name: Player(network) for name, network in networks.items()},
        ranked=ranked,
        episodes=args.episodes,
        name=hub.find(args.checkpoint).name,
        progress=print,
    )
    print(f"\n{card}")
    if args.out:
        print(f"\nwritten to {card.save(args.out)}")
    if args.figure:
        card.figure().save(args.figure)


class _Rollouts:
    """The clips of one horizon and what the world made of them.

    Attributes:
        clip: K + h frames.
        groups: int64 ``[B]``, the episode of each clip.
        target: uint8 ``[B, h, C, H, W]``; ``start``: the last context frame ``[B, C, H, W]``.
        dream, other: uint8 ``[S, B, h, C, H, W]`` under true and under another clip's actions.
        pressed: int64 ``[B, K + h - 1]``, the actions of ``dream`` in the world's own terms.
        psnr, psnr_other: float64 ``[S, B, h]``; ``psnr_copy``: ``[B, h]``.
    """

    def __init__(
        self,
        clip: Clip,
        groups: Tensor,
        context: int,
        dream: Tensor,
        other: Tensor | None,
        other_actions: Tensor | None,
        pressed: Tensor,
    ) -> None:
        self.clip, self.groups, self.dream, self.other = clip, groups, dream, other
        self.other_actions, self.pressed = other_actions, pressed
        self.actions = None if clip.actions is None else clip.actions[:, context - 1 :]
        self.start, self.target = clip.frames[:, context - 1], clip.frames[:, context:]
        self.horizon = self.target.shape[1]
        self.psnr = torch.stack([psnr(one, self.target) for one in dream])
        self.psnr_copy = psnr(self.start[:, None].expand_as(self.target), self.target)
        self.psnr_other = None
        if other is not None:
            self.psnr_other = torch.stack([psnr(one, self.target) for one in other])


def _roll(
    world: World,
    store: EpisodeStore,
    windows: Sequence[tuple[int, int]],
    horizon: int,
    seeds: Sequence[int],
    batch_size: int,
) -> _Rollouts:
    context = world.context_frames
    clip = store.clip(windows, context + horizon)
    if tuple(clip.frames.shape[2:]) != tuple(world.frame_shape):
        raise ValueError(
            f"The world makes frames of {list(world.frame_shape)} [C, H, W], the data has "
            f"{list(clip.frames.shape[2:])}: choose data of the environment and size that the "
            "world was trained on."
        )
    actions = clip.actions
    if _is_latent(world):
        actions = infer_batches(world, clip, batch_size)
    passive = actions is None
    if passive:  # a passive video: the world must not need the actions
        actions = torch.zeros(len(clip), clip.length - 1, dtype=torch.int64)
    own = actions[:, context - 1 :]
    dream, other, others = [], [], []
    for seed in seeds:
        dream.append(rollout_batches(world, clip, seed, own, batch_size))
        if passive:
            continue
        if _is_latent(world):
            generator = torch.Generator().manual_seed(seed)
            given = torch.randint(int(world.action_space.n), own.shape, generator=generator)
            label = clip.actions  # what the probe is asked for: there is no other true action
            label = None if label is None else label[:, context - 1 :]
        else:
            given = label = own[derangement(len(clip), seed)]
        others.append(label)
        other.append(rollout_batches(world, clip, seed, given, batch_size))
    return _Rollouts(
        clip=clip,
        groups=torch.tensor([episode for episode, _ in windows]),
        context=context,
        dream=torch.stack(dream),
        other=torch.stack(other) if other else None,
        other_actions=torch.stack(others) if others and others[0] is not None else None,
        pressed=actions,
    )


def _is_latent(world: World) -> bool:
    """Whether the world's actions are of its own making, so that a clip's must be inferred."""
    return getattr(world, "latent_actions", False)


def _fidelity_at(
    rolls: _Rollouts, too_short: int, extractor: RandomFeatures, real: Tensor | None
) -> FidelityAt:
    groups, target, last = rolls.groups, rolls.target[:, -1], rolls.dream[:, :, -1]
    dream, copy = rolls.psnr[..., -1], rolls.psnr_copy[:, -1]
    similar = similar_copy = None
    if min(target.shape[-2:]) >= 11:
        each = torch.stack([ssim(one, target) for one in last]).mean(0)
        similar = mean_estimate(each, groups)
        similar_copy = mean_estimate(ssim(rolls.start, target), groups)
    features = extractor(target)
    floor = None
    if real is not None:
        floor = frechet_estimate(extractor(real)[None], features, groups)
    return FidelityAt(
        horizon=rolls.horizon,
        clips=len(target),
        episodes=len(groups.unique()),
        too_short=too_short,
        psnr=mean_estimate(dream.mean(0), groups),
        psnr_copy=mean_estimate(copy, groups),
        psnr_gain=mean_estimate((dream - copy).mean(0), groups),
        ssim=similar,
        ssim_copy=similar_copy,
        feature_distance=frechet_estimate(extractor(last), features, groups),
        feature_distance_copy=frechet_estimate(extractor(rolls.start)[None], features, groups),
        feature_distance_real=floor,
    )


def _control_at(rolls: _Rollouts) -> ControlAt:
    true, other = rolls.psnr[..., -1].mean(0), rolls.psnr_other[..., -1].mean(0)
    return ControlAt(
        horizon=rolls.horizon,
        clips=len(true),
        psnr_other=mean_estimate(other, rolls.groups),
        delta=mean_estimate(true - other, rolls.groups),
    )


def _curve(rolls: _Rollouts) -> Curve:
    def steps(values: Tensor) -> tuple:
        return tuple(mean_estimate(step, rolls.groups) for step in values.unbind(1))

    return Curve(
        clips=len(rolls.groups),
        dream=steps(rolls.psnr.mean(0)),
        copy=steps(rolls.psnr_copy),
        other_actions=None if rolls.psnr_other is None else steps(rolls.psnr_other.mean(0)),
    )


def _probe(rolls: _Rollouts, store: EpisodeStore, train: Sequence[int], steps: int) -> Probe | None:
    """Trains the probe on the training episodes, asks it about the rollouts' transitions."""
    pool = draw_windows(store.lengths.tolist(), train, 2, 2**31 - 1)
    if not pool:
        return None
    counts = torch.zeros(int(store.action_space.n))

    def sample(generator: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(pool), (n,), generator=generator).tolist()
        clip = store.clip([pool[row] for row in rows], 2)
        actions = clip.actions[:, 0]
        counts.add_(torch.bincount(actions, minlength=len(counts)))
        return clip.frames, actions

    probe = train_probe(sample, len(counts), steps)
    steps_ahead = slice(0, _PROBE_STEPS_AHEAD)
    first, true = rolls.start[:, None], rolls.actions[:, steps_ahead]

    def accuracy(frames: Tensor, actions: Tensor) -> Tensor:
        hits = probe.hits(torch.cat([first, frames[:, steps_ahead]], 1), actions)
        return hits.double().mean(1)

    dream = torch.stack([accuracy(one, true) for one in rolls.dream])
    others = rolls.other_actions[:, :, steps_ahead]
    other = torch.stack([accuracy(*pair) for pair in zip(rolls.other, others, strict=True)])
    majority = (true == counts.argmax()).double().mean(1)
    return Probe(
        training_steps=steps,
        transitions=true.numel(),
        real=mean_estimate(accuracy(rolls.target, true), rolls.groups),
        dream=mean_estimate(dream.mean(0), rolls.groups),
        dream_other=mean_estimate(other.mean(0), rolls.groups),
        majority=mean_estimate(majority, rolls.groups),
    )


def _utility(
    policies: Mapping[str, Policy],
    ranked: Mapping[str, Policy],
    world: World,
    store: EpisodeStore,
    starts: Clip,
    episodes: int,
    say: Callable[[str], None],
) -> Utility:
    env_id = store.info["env"]
    size = store.frame_shape[-1]
    options = {"size": size, **store.info.get("env_kwargs", {})}
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


def _split(
    data: ClipDataModule | EpisodeStore | str | Path, holdout: float
) -> tuple[EpisodeStore, list[int], list[int]]:
    """The store, its training episodes and its held-out episodes."""
    module = data if isinstance(data, ClipDataModule) else ClipDataModule(data, holdout=holdout)
    train, held_out = (module.splits[name].tolist() for name in ("train", "val"))
    if not held_out:
        raise ValueError("No episode is held out: choose holdout above 0.")
    return module.store, train, held_out
