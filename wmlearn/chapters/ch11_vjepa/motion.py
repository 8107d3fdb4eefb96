"""Do features encode motion? Probes on tasks and their reversals, beside baselines.

A class and its reversal look alike at any moment and differ in how they go on. So *between a class
and its reversal* guessing gives 0.5, and what a probe of one frame gets above that is what the
scene gives away. It gives away much: a hand that opens a drawer is held differently from one that
closes it. So the question is asked on :func:`both_ways`, where every clip is there twice, as filmed
and played backwards, and a picture alone gets exactly 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.data.motions import CLASSES, class_names
from wmlearn.evaluation.probe import ProbeScore, fit_probe
from wmlearn.metrics import Estimate, mean_estimate

PAIRS = tuple((i, i + 1) for i in range(0, len(CLASSES), 2))


@dataclass(frozen=True)
class MotionClips:
    """Labeled clips around the middle of each episode, without an episode in common.

    Attributes:
        train, test: the clips.
        train_labels, test_labels: int64 ``[n]``, numbers in ``motions.CLASSES``.
        ways: 2 if the second half of the clips is the first half played backwards, else 1.
    """

    train: Clip
    train_labels: Tensor
    test: Clip
    test_labels: Tensor
    ways: int = 1


def motion_clips(store: EpisodeStore, length: int = 15, holdout: float = 0.25) -> MotionClips:
    """The labeled clips of a dataset of motions; the last episodes are for testing.

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


def both_ways(clips: MotionClips) -> MotionClips:
    """Every clip twice: as filmed, and backwards under the label of the motion that it then shows.

    A door that closes, played backwards, opens. So a class and its reversal consist of the very
    same pictures, and neither a pose nor a scene tells them apart. That an arm moves differently
    towards a handle than away from it does not help either: each class has as many clips of the
    one as of the other.

    Args:
        clips: of an odd number of frames, so that the middle one is the same both ways. The frames
            that an encoder picks must be so, too: every second one of 15 are.

    Raises:
        ValueError: the clips are there both ways already, or have no middle.
    """
    if clips.ways != 1:
        raise ValueError("These clips are there both ways already.")
    if clips.test.length % 2 == 0:
        raise ValueError("Choose clips with an odd number of frames: they need a middle one.")
    partner = torch.arange(len(CLASSES))
    for a, b in PAIRS:
        partner[a], partner[b] = b, a

    def double(clip: Clip, labels: Tensor) -> tuple[Clip, Tensor]:
        frames = torch.cat([clip.frames, clip.frames.flip(1)])
        return Clip(frames), torch.cat([labels, partner[labels]])

    train, test = double(clips.train, clips.train_labels), double(clips.test, clips.test_labels)
    return MotionClips(*train, *test, ways=2)


def development(clips: MotionClips, share: float = 0.25) -> MotionClips:
    """The clips to learn from, split once more: choices are made here, not on the test clips.

    Raises:
        ValueError: the clips are there both ways already, so the halves would share clips.
    """
    if clips.ways != 1:
        raise ValueError("Split the clips before both_ways, not after.")
    split = len(clips.train) - round(share * len(clips.train))
    first, last = torch.arange(len(clips.train)).split([split, len(clips.train) - split])
    labels = clips.train_labels
    return MotionClips(clips.train[first], labels[first], clips.train[last], labels[last])


def few_labels(clips: MotionClips, each: int) -> MotionClips:
    """The same test, with only ``each`` labeled clips of a class to learn from (and backwards)."""
    names = clips.train_labels.view(clips.ways, -1)[0]  # as filmed
    rows = torch.cat([(names == c).nonzero()[:each, 0] for c in range(len(CLASSES))])
    rows = torch.cat([rows + way * len(names) for way in range(clips.ways)])
    return replace(clips, train=clips.train[rows], train_labels=clips.train_labels[rows])


def still(clip: Clip) -> Clip:
    """Clips that stand still at their middle frame: only what one frame can tell."""
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
        clips: see :func:`motion_clips` and :func:`both_ways`.
        seeds: of the probe.
        one_frame: show the encoder stills of the middle frame only.
        **probe: as in ``fit_probe``.
    """
    look = still if one_frame else (lambda clip: clip)
    train = extract(system, look(clips.train)), clips.train_labels
    test = extract(system, look(clips.test)), clips.test_labels
    scores = [fit_probe(train, test, PAIRS, seed=seed, **probe) for seed in seeds]
    return [replace(score, ways=clips.ways) for score in scores]


def table(scores: Mapping[str, Sequence[ProbeScore]]) -> dict[str, dict[str, Estimate]]:
    """``{name: {"pairs": ..., "all": ...}}``: means over the probes' seeds, 0 to 1.

    The interval is over the test clips, each with its mean over the seeds and over both ways.
    """

    def mean(each: Sequence[ProbeScore], hits: str) -> Estimate:
        found = torch.stack([getattr(score, hits) for score in each]).float().mean(0)
        return mean_estimate(found.view(each[0].ways, -1).mean(0))

    return {
        name: {"pairs": mean(each, "pair_hits"), "all": mean(each, "hits")}
        for name, each in scores.items()
    }
