"""Do latent actions match the true ones? Only this evaluation reads the true actions.

A world that learned from video names its actions 0 .. 7 itself. For scoring, each code is given the
name of a true action, once in two ways: *many to one* (each code gets a name, names may repeat) and
*one to one* (no name is given twice; codes without a name count as wrong). The map is made on
training episodes and judged on held-out ones.

The two chance levels: *majority* is always naming the action that is most frequent in training;
for *recall*, the mean over classes of the share that is named right, it is 1 / (number of classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.card import Row, Section
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.metrics import (
    Estimate,
    bootstrap_weights,
    fraction_used,
    mean_estimate,
    perplexity,
)
from wmlearn.world import LatentActionWorld

MOVES = ("left", "right", "jump")


@dataclass(frozen=True)
class LatentActionScore:
    """Accuracy of the codes of held-out transitions at naming the true actions.

    Attributes:
        transitions: held-out ones; ``codes``: how many codes there are.
        perplexity: of the codes, 1 (collapsed) .. codes; ``used``: share of the codes that occur.
        many_to_one, one_to_one, majority: accuracies 0..1 over all the environment's actions.
        classes: the coarser moves that are told apart for ``recall``: left, right and jump where
            the environment has them (transitions without any of them are left out), else all
            actions.
        recall: 0..1, mean over the classes; chance is ``1 / len(classes)``.
        names: for each code, the class that it stands for in ``recall``.
    """

    transitions: int
    codes: int
    perplexity: float
    used: float
    many_to_one: Estimate
    one_to_one: Estimate
    majority: Estimate
    classes: tuple[str, ...]
    recall: Estimate
    names: tuple[str, ...]


def latent_action_section(score: LatentActionScore) -> Section:
    """The score for the card; its rows keep the names of the score's fields in mind."""
    names = ", ".join(f"{code} {name}" for code, name in enumerate(score.names))
    chance = Estimate(1 / len(score.classes), n=len(score.classes))
    rows = (
        Row("codes used", (Estimate(score.used, n=score.transitions),), f"of {score.codes}"),
        Row("perplexity of the codes", text=f"{score.perplexity:.1f}"),
        Row("recall", (score.recall,), f"of {', '.join(score.classes)}"),
        Row("  by chance", (chance,)),
        Row("accuracy, each code named", (score.many_to_one,)),
        Row("accuracy, no name twice", (score.one_to_one,)),
        Row("  always the most frequent", (score.majority,)),
        Row("held-out transitions", text=str(score.transitions)),
        Row("what each code stands for", text=names),
    )
    title = "What do the latent actions mean?"
    return Section("latent actions", title, rows, unit="%", digits=0)


def score_latent_actions(
    world: LatentActionWorld,
    store: EpisodeStore,
    train: Sequence[int],
    held_out: Sequence[int],
    clips: int = 200,
    length: int = 6,
) -> LatentActionScore:
    """Scores ``world.infer_actions`` on recorded episodes with true actions.

    Args:
        world: with a Discrete ``action_space``.
        train: episodes on which the names are given.
        held_out: episodes on which they are judged.
        clips: drawn from each; fewer where there are fewer.
        length: frames of a clip.
    """
    codes = int(world.action_space.n)
    names = (store.info["action_space"] or {}).get("names")
    known = codes_and_actions(world, store, train, clips, length)
    new = codes_and_actions(world, store, held_out, clips, length)
    count = int(store.action_space.n)
    table = _table(known[0], known[1], codes, count)
    many, one = table.argmax(1), best_one_to_one(table)
    code, action, groups = new
    majority = table.sum(0).argmax()

    classes, member = _moves(names, count)
    inside = member[known[1]] >= 0
    coarse = _table(known[0][inside], member[known[1][inside]], codes, len(classes))
    share = coarse / coarse.sum(0, keepdim=True).clamp(min=1)
    named = share.argmax(1)
    judged = member[action] >= 0
    counts = torch.bincount(code, minlength=codes).float()
    return LatentActionScore(
        transitions=len(code),
        codes=codes,
        perplexity=perplexity(counts).item(),
        used=fraction_used(counts).item(),
        many_to_one=mean_estimate((many[code] == action).double(), groups),
        one_to_one=mean_estimate((one[code] == action).double(), groups),
        majority=mean_estimate((majority == action).double(), groups),
        classes=classes,
        recall=mean_recall(named[code[judged]], member[action[judged]], groups[judged]),
        names=tuple(classes[i] for i in named.tolist()),
    )


def codes_and_actions(
    world: LatentActionWorld, store: EpisodeStore, episodes: Sequence[int], clips: int, length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, true actions and episodes of the transitions of some clips, each int64 ``[n]``."""
    length = min(length, int(max(store.lengths[list(episodes)])))
    windows = draw_windows(store.lengths.tolist(), episodes, length, clips)
    clip = store.clip(windows, length).require("actions")
    codes = torch.cat(
        [world.infer_actions(Clip(clip.frames[i : i + 32])).cpu() for i in range(0, len(clip), 32)]
    )
    groups = torch.tensor([episode for episode, _ in windows])[:, None].expand_as(codes)
    return codes.flatten(), clip.actions.flatten(), groups.flatten()


def best_one_to_one(table: Tensor) -> Tensor:
    """The one-to-one map with most hits: counts ``[codes, actions]`` -> action of each code or -1.

    Kuhn's assignment problem; a code that no action is left for has -1.
    """
    from scipy.optimize import linear_sum_assignment

    codes, actions = map(torch.from_numpy, linear_sum_assignment(table.numpy(), maximize=True))
    return torch.full((len(table),), -1).scatter_(0, codes, actions)


def mean_recall(named: Tensor, true: Tensor, groups: Tensor) -> Estimate:
    """Mean over classes of the share of its members that is named right, with its interval."""

    def recall(weights: Tensor) -> Tensor:  # [resamples, n] -> [resamples]
        shares = []
        for label in true.unique().tolist():
            mine = weights[:, true == label]
            shares.append((mine * hit[true == label]).sum(1) / mine.sum(1).clamp(min=1e-9))
        return torch.stack(shares).mean(0)

    hit = (named == true).double()
    value = recall(torch.ones(1, len(hit), dtype=torch.float64)).item()
    if len(groups.unique()) < 2:
        return Estimate(value, n=len(hit))
    bounds = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.quantile(recall(bootstrap_weights(groups)), bounds).tolist()
    return Estimate(value, low, high, len(hit))


def _moves(names: Sequence[str] | None, count: int) -> tuple[tuple[str, ...], Tensor]:
    """The classes, and the class of each action (-1 for none)."""
    if names is None or not set(MOVES) <= set(names):
        return tuple(names or map(str, range(count))), torch.arange(count)
    member = [2 if "jump" in name else MOVES.index(name) if name in MOVES else -1 for name in names]
    return MOVES, torch.tensor(member)


def _table(codes: Tensor, actions: Tensor, rows: int, columns: int) -> Tensor:
    """How often each code meets each action: float ``[rows, columns]``."""
    flat = torch.bincount(codes * columns + actions, minlength=rows * columns)
    return flat.view(rows, columns).float()
