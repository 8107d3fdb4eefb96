"""Both ways: a picture alone tells nothing, motion tells all; and no clip counts as two."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wmlearn.chapters.ch11_vjepa.motion import (
    MotionClips,
    both_ways,
    development,
    few_labels,
    probe_motion,
    table,
)
from wmlearn.data.clip import Clip
from wmlearn.data.motions import CLASSES
from wmlearn.metrics import mean_estimate

FRAMES, SIZE = 9, 16


def squares(each: int, seed: int) -> tuple[Clip, torch.Tensor]:
    """Eight rows of a square that goes right (even classes) or left (odd ones).

    The scene gives the class away: what goes right is red, what goes left is blue.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(CLASSES)).repeat(each)
    video = torch.zeros(len(labels), FRAMES, 3, SIZE, SIZE, dtype=torch.uint8)
    start = torch.randint(0, SIZE - FRAMES - 2, (len(labels),), generator=generator)
    for clip, label, first in zip(video, labels.tolist(), start.tolist(), strict=True):
        row, left = 2 * (label // 2), label % 2
        for t in range(FRAMES):
            x = first + (FRAMES - 1 - t if left else t)
            clip[t, 2 * left, row : row + 2, x : x + 2] = 250
    return Clip(video), labels


class Pixels(nn.Module):
    """Features that hold every pixel: one token for each frame."""

    def features(self, clip: Clip) -> torch.Tensor:
        return (
            F.avg_pool2d(clip.frames.float().flatten(0, 1) / 100, (2, 4))
            .flatten(1)
            .unflatten(0, clip.frames.shape[:2])
        )


class Motion(nn.Module):
    """One token: which row moves, times how far to the right."""

    def features(self, clip: Clip) -> torch.Tensor:
        light = (clip.frames.float().sum(2) > 0).float()  # [B, T, H, W]
        x = torch.arange(SIZE).float()
        rows = light.mean(-1).amax(1).unflatten(-1, (-1, 2)).mean(-1)  # [B, H / 2]
        center = (light.sum(-2) * x).sum(-1) / light.sum((-2, -1))
        moved = (center[:, -1] - center[:, 0]) / FRAMES
        return torch.cat([8 * rows, 8 * rows * moved[:, None]], 1)[:, None]


@pytest.fixture(scope="module")
def clips():
    train, test = squares(12, seed=0), squares(4, seed=1)
    return MotionClips(*train, *test)


def test_one_frame_is_at_chance_both_ways_and_only_there(clips):
    options = dict(one_frame=True, epochs=30, learning_rate=3e-3)
    (leak,) = probe_motion(Pixels(), clips, **options)
    assert leak.pairs > 0.9, "these scenes give the class away"
    (score,) = probe_motion(Pixels(), both_ways(clips), **options)
    assert score.pairs == 0.5


def test_a_feature_of_motion_scores_all(clips):
    (score,) = probe_motion(Motion(), both_ways(clips), epochs=60, learning_rate=3e-3)
    assert score.pairs > 0.95 and score.accuracy > 0.9
    (still,) = probe_motion(Motion(), both_ways(clips), one_frame=True, epochs=5)
    assert still.pairs == 0.5


def test_a_clip_backwards_shows_the_reversal(clips):
    twice, n = both_ways(clips), len(clips.train)
    assert len(twice.train) == 2 * n and twice.ways == 2
    assert torch.equal(twice.train.frames[n:], clips.train.frames.flip(1))
    names = [CLASSES[i] for i in twice.train_labels[[0, n, 1, n + 1]]]
    assert names == ["door-open", "door-close", "door-close", "door-open"]
    with pytest.raises(ValueError, match="both ways already"):
        both_ways(twice)
    even = [Clip(clip.frames[:, 1:]) for clip in (clips.train, clips.test)]
    with pytest.raises(ValueError, match="odd number of frames"):
        both_ways(replace(clips, train=even[0], test=even[1]))


def test_few_labels_and_development_never_touch_the_test_clips(clips):
    few = few_labels(both_ways(clips), 3)
    assert torch.bincount(few.train_labels).tolist() == [6] * len(CLASSES)
    n = len(few.train) // 2
    assert torch.equal(few.train.frames[n:], few.train.frames[:n].flip(1))
    assert few.test is clips.test or len(few.test) == 2 * len(clips.test)
    part = development(clips)
    assert len(part.train) + len(part.test) == len(clips.train)
    assert torch.bincount(part.test_labels).tolist() == [3] * len(CLASSES)
    assert torch.equal(torch.cat([part.train.frames, part.test.frames]), clips.train.frames)
    with pytest.raises(ValueError, match="before both_ways"):
        development(both_ways(clips))


def test_both_ways_of_a_clip_are_one_sample(clips):
    (score,) = probe_motion(Pixels(), both_ways(clips), one_frame=True, epochs=2)
    assert table({"": [score]})[""]["pairs"].low == 0.5, "each clip is right in one way of two"
    as_two = table({"": [replace(score, ways=1)]})[""]["pairs"]
    assert as_two.low < 0.5 < as_two.high
    assert as_two == mean_estimate(score.pair_hits.float())
