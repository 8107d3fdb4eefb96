"""Does an encoder see motion? Probes on tasks that undo each other, beside what they must beat.

A class and its reversal look alike at any moment and differ in how they go on. So *between a class
and its reversal* guessing gives 0.5, and what a probe of one frame gets above that is what the
scene gives away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.data.motions import CLASSES, class_names
from wmlearn.evaluate.probe import ProbeScore, fit_probe
from wmlearn.evaluate.stats import Estimate, mean_estimate

PAIRS = tuple((i, i + 1) for i in range(0, len(CLASSES), 2))


@dataclass(frozen=True)
class MotionClips:
    """Labelled clips around the middle of each episode, without an episode in common.

    Attributes:
        train, test: the clips.
        train_labels, test_labels: int64 ``[n]``, numbers in ``motions.CLASSES``.
    """

    train: Clip
    train_labels: Tensor
    test: Clip
    test_labels: Tensor


def motion_clips(store: EpisodeStore, length: int = 15, holdout: float = 0.25) -> MotionClips:
    """The labelled clips of a dataset of motions; the last episodes are for testing.

    Args:
        store: recorded from ``metaworld/pairs``, or unpacked from ``clips/metaworld``.
        length: frames of a clip.
        holdout: share of the episodes that is for testing; the same as in pre-training.
    """
    labels = torch.tensor([CLASSES.index(name) for name in class_names(store)])
    places = [(i, (int(n) - length) // 2) for i, n in enumerate(store.lengths)]
    split = len(store) - max(1, round(holdout * len(store)))
    return MotionClips(
        store.clip(places[:split], length),
        labels[:split],
        store.clip(places[split:], length),
        labels[split:],
    )


def still(clip: Clip) -> Clip:
    """Clips that stand still at their middle frame: what one frame can tell, and no more."""
    middle = clip.frames[:, clip.length // 2, None]
    return Clip(middle.expand(-1, clip.length, -1, -1, -1))


@torch.no_grad()
def extract(system: nn.Module, clip: Clip, batch_size: int = 32) -> Tensor:
    """Frozen features ``[n, N, D]`` of clips (``system.features``)."""
    rows = torch.arange(len(clip)).split(batch_size)
    return torch.cat([system.features(clip[row]) for row in rows])


def probe_motion(
    system: nn.Module,
    clips: MotionClips,
    seeds: Sequence[int] = (0,),
    one_frame: bool = False,
    **probe,
) -> list[ProbeScore]:
    """One score for each seed of the probe.

    Args:
        system: has ``features(clip)``.
        clips: see :func:`motion_clips`.
        seeds: of the probe.
        one_frame: show the encoder stills of the middle frame only.
        **probe: as in ``fit_probe``.
    """
    look = still if one_frame else (lambda clip: clip)
    train = extract(system, look(clips.train)), clips.train_labels
    test = extract(system, look(clips.test)), clips.test_labels
    return [fit_probe(train, test, PAIRS, seed=seed, **probe) for seed in seeds]


def table(scores: Mapping[str, Sequence[ProbeScore]]) -> dict[str, dict[str, Estimate]]:
    """``{name: {"pairs": ..., "all": ...}}``: means over the probes' seeds, 0 to 1.

    The interval is over the test clips, each with its mean over the seeds.
    """

    def mean(each: Sequence[ProbeScore], hits: str) -> Estimate:
        return mean_estimate(torch.stack([getattr(score, hits) for score in each]).float().mean(0))

    return {
        name: {"pairs": mean(each, "pair_hits"), "all": mean(each, "hits")}
        for name, each in scores.items()
    }
