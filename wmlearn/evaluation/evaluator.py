"""evaluate(): a checkpoint, a system or a world in, an EvaluationCard out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
from torch import nn

from wmlearn import hub
from wmlearn.agents.policy import Policy
from wmlearn.data.clip import Clip
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.card import Controllability, EvaluationCard
from wmlearn.evaluation.controllability import control_at, judge_probe
from wmlearn.evaluation.cost import measure_cost
from wmlearn.evaluation.fidelity import Dreams, dream, fidelity, fidelity_at, other_frames
from wmlearn.evaluation.judge import Case, Verdict, call_judge
from wmlearn.evaluation.progress import Progress
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.evaluation.utility import measure_utility
from wmlearn.systems import entry_of
from wmlearn.world import FeatureWorld, LatentActionWorld, World, WorldModel

HORIZONS = (1, 8, 32)
PROBE_STEPS = 500
EPISODES = 100


def evaluate(
    subject: World | nn.Module | str | Path,
    data: ClipDataModule | EpisodeStore | str | Path,
    *,
    horizons: Sequence[int] | None = None,
    clips: int = 64,
    seeds: Sequence[int] = (0, 1, 2),
    holdout: float = 0.1,
    batch_size: int = 32,
    probe_steps: int | None = None,
    cost: bool = True,
    training_minutes: float | None = None,
    policies: Mapping[str, Policy] | None = None,
    ranked: Mapping[str, Policy] | None = None,
    episodes: int | None = None,
    judge: Mapping[str, Any] | None = None,
    name: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> EvaluationCard:
    """Judges a world, or a system without one, on episodes that it was not trained on.

    For each horizon, clips of just that length are drawn from the held-out episodes, uniformly
    over all windows that fit; every baseline and every seed sees the same clips. The dream under
    true actions and the dream under another clip's actions use the same noise. A world with latent
    actions dreams under those that it infers from the clip, and under random ones. Then the
    system's own judge, if its chapter has one, adds what only this kind of system can be asked.

    Args:
        subject: a world; a trained system; or a checkpoint's name or folder.
        data: an ``EpisodeStore``, its folder, or the ``ClipDataModule`` of the training (whose
            split is then used).
        horizons: steps ahead; default 1, 8 and 32.
        clips: for each horizon.
        seeds: of the world's noise and of the shuffled actions.
        holdout: share of the episodes, the last ones, that are held out.
        batch_size: rollouts side by side; changes the noise, not the method.
        probe_steps: training steps of the inverse-dynamics probe; 0 leaves it out; default 500.
        cost: whether to measure parameters, FLOPs and speed.
        training_minutes: for the card; default: what the checkpoint's card says.
        policies: name -> policy, trained in the world; played in the real environment that the
            data comes from, beside random and expert. Without any, utility is not measured.
        ranked: name -> policy, three or more of different skill (checkpoints, or
            :class:`~wmlearn.agents.policy.Mixture`), played in the dream and in reality for
            the rank correlation of their values.
        episodes: played by each policy; default 100.
        judge: options of the system's own judge, by name.
        name: for the card; default the checkpoint's, or the world's class name.
        progress: called with a line of text before each part, e.g. ``print``.

    Raises:
        ValueError: no horizon fits; subject and data do not belong together; or an option has no
            meaning for this subject.
    """
    say = progress or (lambda text: None)
    if isinstance(subject, str | Path):
        name = name or hub.find(subject).name
        subject = hub.load(subject)
        training_minutes = training_minutes or subject.card.get("minutes")
    world, system = _parts(subject)
    entry = None if system is None else entry_of(system)
    asks = call_judge(entry.load("judge") if entry and entry.judge else None, judge)
    store, train, held_out = split(data, holdout)
    case = Case(
        system, world, store, train, held_out, clips, tuple(seeds), cost, training_minutes, say
    )
    _refuse_what_has_no_meaning(
        case,
        {"horizons": horizons, "probe_steps": probe_steps or None, "policies": policies or None,
         "ranked": ranked or None, "episodes": episodes},
        known=asks is not None,
    )  # fmt: skip
    if not case.seeds or min(case.seeds) < 0:
        raise ValueError(f"seeds must be one or more numbers from 0 on; got {list(case.seeds)}.")
    if (probe_steps or 0) < 0:
        raise ValueError(f"probe_steps must be 0 (no probe) or more; got {probe_steps}.")
    if clips < 1 or any(horizon < 1 for horizon in horizons or ()):
        raise ValueError(
            f"clips and horizons must be 1 or more; got {clips} and {list(horizons or ())}."
        )

    card = EvaluationCard(
        name=name or type(subject if world is None else world).__name__,
        environment=str(store.info.get("env", "unknown environment")),
        policy=str(store.info.get("policy", "unknown")),
        held_out=len(held_out),
        context_frames=0 if world is None else world.context_frames,
        seeds=case.seeds,
        left_out=(),
        fidelity=None,
    )
    if world is not None:
        horizons = HORIZONS if horizons is None else sorted(set(horizons))
        steps = PROBE_STEPS if probe_steps is None else probe_steps
        card = _judge_world(card, case, horizons, batch_size, steps)
        if policies or ranked:
            starts = _starts(case)
            found = measure_utility(
                policies or {}, ranked or {}, world, store, starts, episodes or EPISODES, say
            )
            card = replace(card, utility=found)
    if asks is not None:
        say(f"the judge of {entry.title}")
        card = _add(card, asks(case))
    return card


def split(
    data: ClipDataModule | EpisodeStore | str | Path, holdout: float
) -> tuple[EpisodeStore, list[int], list[int]]:
    """The store, its training episodes and its held-out episodes."""
    module = data if isinstance(data, ClipDataModule) else ClipDataModule(data, holdout=holdout)
    train, held_out = (module.splits[name].tolist() for name in ("train", "val"))
    if not held_out:
        raise ValueError("No episode is held out: choose holdout above 0.")
    return module.store, train, held_out


def _parts(subject: World | nn.Module) -> tuple[World | None, nn.Module | None]:
    """The world and the system behind it, as far as there are any."""
    if isinstance(subject, World):
        return subject, subject.system
    if isinstance(subject, WorldModel):
        return subject.world(), subject
    if isinstance(subject, nn.Module):
        return None, subject
    raise ValueError(
        "evaluate() takes a world, a trained system or a checkpoint's name; got "
        f"{type(subject).__name__}."
    )


def _refuse_what_has_no_meaning(case: Case, given: dict[str, Any], known: bool) -> None:
    """One sentence for an option that would change nothing here."""
    world, asked = case.world, {name for name, value in given.items() if value is not None}
    if world is None and not known:
        raise ValueError(
            f"{type(case.system).__name__} has no world, and no judge of its own in the registry: "
            "there is nothing to evaluate."
        )
    if world is None:
        refused, why = asked, "the system has no world to step through"
    elif isinstance(world, FeatureWorld):
        refused, why = asked - {"horizons"}, "the world shows features, not frames"
    elif case.store.action_space is None:
        refused, why = asked - {"horizons"}, "the data has no actions (a passive video)"
    elif not isinstance(case.store.action_space, gymnasium.spaces.Discrete):
        refused, why = asked & {"probe_steps"}, "the probe names Discrete actions"
    elif "episodes" in asked and not asked & {"policies", "ranked"}:
        refused, why = {"episodes"}, "no policy is given that could play them"
    elif asked & {"policies", "ranked"} and isinstance(world, LatentActionWorld):
        refused, why = asked & {"policies", "ranked"}, "the world's actions are codes of its own"
    else:
        return
    if refused:
        words = {"policies": "policy", "ranked": "policy"}
        options = ", ".join(sorted({words.get(name, name) for name in refused}))
        raise ValueError(f"Leave out {options}: {why}, so it would change nothing.")


def _judge_world(
    card: EvaluationCard, case: Case, horizons: Sequence[int], batch_size: int, probe_steps: int
) -> EvaluationCard:
    """Fidelity, controllability and cost."""
    world, store, held_out, say = case.world, case.store, case.held_out, case.say
    if not horizons or horizons[0] < 1:
        raise ValueError("Horizons are steps ahead, 1 or more.")
    context, lengths = world.context_frames, store.lengths.tolist()
    rows, control, left_out = [], [], []
    last: Dreams | None = None
    for horizon in horizons:
        windows = draw_windows(lengths, held_out, context + horizon, case.clips)
        if len(windows) < 2:
            left_out.append(horizon)
            continue
        say(f"{len(windows)} clips, {len(case.seeds)} seeds, {horizon} steps ahead")
        passes = len(case.seeds) * (1 if store.action_space is None and not _latent(world) else 2)
        steps = math.ceil(horizon / world.chunk) * math.ceil(len(windows) / batch_size)
        progress = Progress(say, passes * steps)
        last = dream(world, store, windows, horizon, case.seeds, batch_size, progress.tick)
        too_short = sum(lengths[episode] < context + horizon for episode in held_out)
        rows.append(fidelity_at(last, too_short, other_frames(store, case.train, len(windows))))
        if last.other is not None:
            control.append(control_at(last))
    if last is None:
        raise ValueError(
            f"The {len(held_out)} held-out episodes have at most "
            f"{max((lengths[episode] for episode in held_out), default=0)} frames, too few for "
            f"{context} context frames and {horizons[0]} more: record longer or more episodes, "
            "or ask for shorter horizons."
        )
    card = replace(card, left_out=tuple(left_out), fidelity=fidelity(rows, last))
    if control:
        probe, discrete = None, isinstance(store.action_space, gymnasium.spaces.Discrete)
        if probe_steps and discrete and not isinstance(world, FeatureWorld):
            say(f"inverse-dynamics probe, {probe_steps} training steps")
            probe = judge_probe(last, store, case.train, probe_steps)
        actions = ("inferred", "random") if _latent(world) else ("true", "other")
        card = replace(card, controllability=Controllability(tuple(control), probe, actions))
    if case.cost and control:
        say("cost")
        pressed = replace(last.clip, actions=last.pressed)
        found = measure_cost(world, pressed, training_minutes=case.training_minutes)
        card = replace(card, cost=found)
    return card


def _latent(world: World) -> bool:
    return isinstance(world, LatentActionWorld)


def _starts(case: Case) -> Clip:
    """The beginnings of the held-out episodes."""
    context, lengths = case.world.context_frames, case.store.lengths
    first = [(episode, 0) for episode in case.held_out if lengths[episode] >= context]
    return case.store.clip(first, context)


def _add(card: EvaluationCard, verdict: Verdict) -> EvaluationCard:
    """The card with what the judge found."""
    parts = {
        "fidelity": verdict.fidelity,
        "controllability": verdict.controllability,
        "utility": verdict.utility,
        "cost": verdict.cost,
    }
    found = {name: part for name, part in parts.items() if part is not None}
    return replace(card, sections=(*card.sections, *verdict.sections), **found)
