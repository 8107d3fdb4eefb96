"""The learned short cut: does a shot at nothing make a monster appear?

GameNGen's authors saw their world learn that monsters follow shots, since players shoot at
monsters. Moments of held-out play with nothing in sight are compared: those at which the player
shoots, and those at which it does not. In how many of them is a monster in view within some frames,
in the engine and in the dream under the same actions?
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wmlearn.chapters.ch05_gamengen.judge import EnemyFinder, enemies
from wmlearn.data.episodes import EpisodeStore

ATTACK = 3  # the action's number
EMPTY = 6  # frames that must show no monster


class Moments(NamedTuple):
    """Where play goes on with nothing in sight: (episode, first frame of the clip) each."""

    shots: list[tuple[int, int]]
    others: list[tuple[int, int]]


def quiet_moments(
    store: EpisodeStore, numbers: range, context: int, steps: int, count: int, seed: int = 0
) -> Moments:
    """Clips of ``context + steps`` frames whose last ``EMPTY`` context frames show no monster.

    Args:
        store: with the engine's labels.
        numbers: of the episodes.
        context: frames before the moment.
        steps: frames after it; at its first step the player shoots, or does something else.
        count: the most of either kind.
        seed: which are taken where there are more.
    """
    shots, others = [], []
    for number in numbers:
        episode = store[number]
        seen = enemies(torch.from_numpy(episode.state.copy()))[1].any(-1).numpy()
        for now in range(context - 1, len(episode.frames) - steps):
            if seen[max(0, now - EMPTY + 1) : now + 1].any():
                continue
            shoots = episode.actions[now] == ATTACK
            (shots if shoots else others).append((number, now - context + 1))
    draw = np.random.default_rng(seed)

    def some(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
        chosen = draw.permutation(len(places))[:count]
        return [places[i] for i in sorted(chosen)]

    return Moments(some(shots), some(others))


@torch.inference_mode()
def appears(finder: EnemyFinder, frames: Tensor) -> Tensor:
    """Whether a monster is found in any frame of uint8 ``[B, T, 3, 64, 64]``: float ``[B]``."""
    return torch.tensor([float(any(len(f) for f in finder.find(clip))) for clip in frames])
