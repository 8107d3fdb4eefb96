"""What is in a recording, before time is spent on it: how much, what moves, what was pressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete

from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore

LOOKED_AT = 50  # episodes, evenly spread
STILL = 0.5  # of 255: two frames whose pixels differ by less on average are alike
FEW_FRAMES = 1_000  # fewer are too few to learn from
FEW_EPISODES = 10
RARE = 0.02  # share of an action that is hardly ever seen
SHORT = 12  # frames of an episode in which a dream cannot be followed for eight steps


@dataclass(frozen=True)
class Checkup:
    """What a recording holds, and what stands in the way of learning from it.

    ``print`` shows both. An empty ``warnings`` promises nothing, but saves the commonest grief.

    Attributes:
        facts: name -> value, in words.
        warnings: a sentence each, with what to do about it.
    """

    facts: dict[str, str]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name:{width}}  {text}" for name, text in self.facts.items()]
        return "\n".join([*lines, *(f"! {text}" for text in self.warnings)])


def checkup(store: EpisodeStore, holdout: float = 0.1) -> Checkup:
    """Looks through a recording.

    Args:
        store: the recording; with or without actions.
        holdout: share of the episodes that training will hold out.
    """
    numbers = np.unique(np.linspace(0, len(store) - 1, min(LOOKED_AT, len(store))).astype(int))
    episodes = [store[int(number)] for number in numbers]
    change = np.concatenate([_changes(episode.frames) for episode in episodes])
    still = float((change < STILL).mean()) if len(change) else 1.0
    held_out = len(ClipDataModule(store, holdout=holdout).splits["val"])
    facts = {
        "frames": f"{store.num_frames:,} of {list(store.frame_shape)}",
        "episodes": f"{len(store)}, of {int(np.median(store.lengths))} frames (the median); "
        f"{held_out} will be held out",
        "nothing moves": f"in {still:.0%} of the steps",
    }
    warnings = []
    if store.num_frames < FEW_FRAMES:
        warnings.append(
            f"{store.num_frames} frames are few: record {FEW_FRAMES:,} or more, 10,000 if you can."
        )
    if len(store) < FEW_EPISODES:
        warnings.append(
            f"{len(store)} episodes are few: what is held out says little. Record more of them, or "
            "shorter ones (max_steps; episode_frames for a film)."
        )
    if held_out == 0:
        warnings.append("No episode is held out, so nothing can be judged: raise holdout.")
    if (short := float((store.lengths < SHORT).mean())) > 0.5:
        warnings.append(
            f"{short:.0%} of the episodes have fewer than {SHORT} frames: a dream is judged only "
            "where an episode is longer than it. Choose a policy that lives longer."
        )
    if still > 0.5:
        warnings.append(
            f"In {still:.0%} of the steps nothing moves: copying will look unbeatable. Choose a "
            "larger frame_skip (fps for a film), a policy that moves, or cut the pauses."
        )
    if isinstance(store.action_space, Discrete):
        words, found = _actions(store, np.concatenate([e.actions for e in episodes]))
        facts["actions"], warnings = words, warnings + found
    else:
        kind = "none, as in a film" if store.action_space is None else str(store.action_space)
        facts["actions"] = kind
    if episodes[0].rewards is not None:
        paid = float(np.mean(np.concatenate([e.rewards for e in episodes]) != 0))
        facts["rewards"] = f"other than 0 in {paid:.1%} of the steps"
    return Checkup(facts, tuple(warnings))


def _changes(frames: np.ndarray) -> np.ndarray:
    """Mean absolute change of a pixel, uint8 ``[T, C, H, W]`` -> ``[T - 1]``."""
    return np.abs(np.diff(frames.astype(np.int16), axis=0)).mean((1, 2, 3))


def _actions(store: EpisodeStore, taken: np.ndarray) -> tuple[str, list[str]]:
    """How often each was taken, and those that hardly were."""
    space = store.action_space
    counts = np.bincount(taken, minlength=int(space.n))
    shares = counts / max(counts.sum(), 1)
    names = store.info["action_space"].get("names") or list(map(str, range(space.n)))
    rare = [name for name, share in zip(names, shares, strict=True) if share < RARE]
    words = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True))
    if not rare:
        return words, []
    return words, [
        f"Hardly ever taken: {', '.join(rare)}. What nobody pressed cannot be learned: record with "
        "a policy that presses it."
    ]
