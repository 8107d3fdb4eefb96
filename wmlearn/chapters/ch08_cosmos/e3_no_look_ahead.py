"""Exercise 08.3: an encoder that looks ahead."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import close, exercise, integer, normal, require, seeded, tensor

B, C, D, H, W = 2, 3, 4, 2, 3


@exercise("08.3", "an encoder that looks ahead")
def no_look_ahead(encode: Answer, *, seed: int = 0) -> Iterator[str]:
    """``encode(video [B, T, C, H, W], weight [3, D, C]) -> [B, (T + 1) / 2, D, H, W]``."""
    draw = seeded(seed)
    steps = integer(draw, 4, 5)
    length = 2 * steps - 1
    video, weight = normal(draw, B, length, C, H, W), normal(draw, 3, D, C)

    def features(video: Tensor) -> Tensor:
        t = (video.shape[1] + 1) // 2
        return tensor(encode(video, weight), (B, t, D, H, W), f"encode of {video.shape[1]} frames")

    plain = features(video)
    last = video.clone()
    last[:, -1] = 3 * normal(draw, B, C, H, W) + 2
    require(close(features(video), plain), "asked twice, the same video has other features.")
    ahead = features(last)[:, :-1]
    require(
        close(ahead[:, 0], plain[:, 0], 1e-6) or not close(ahead[:, 1:], plain[:, 1:-1], 1e-6),
        "the last frame changes features of the beginning, but only features 0: the end of the "
        "video was put in front. In Python frames -2 and -1 wrap round to the end; put copies of "
        "frame 0 there.",
    )
    require(
        close(ahead, plain[:, :-1], 1e-6),
        "the last frame changes features of the beginning. Are mean and deviation taken over the "
        "whole clip? Then they tell of what comes later; each frame has its own.",
    )
    changed = {}
    for frame in range(1, length - 1):
        other = video.clone()
        other[:, frame] = normal(draw, B, C, H, W) - 1
        changed[frame] = features(other)
    require(
        any(not close(changed[2 * j + 1][:, j], plain[:, j], 1e-6) for j in range(1, steps - 1))
        or all(close(changed[frame][:, 0], plain[:, 0], 1e-6) for frame in changed),
        "a later frame changes features 0, while the others know of none that comes later: what "
        "is put in front should be copies of frame 0, not of later frames.",
    )
    for frame, other in changed.items():
        seen = (frame + 1) // 2  # the first features that may know of it
        require(
            close(other[:, :seen], plain[:, :seen], 1e-6),
            f"frame {frame} changes features {seen - 1}, which stand for frames up to "
            f"{2 * seen - 2}: the three frames that are mixed end one frame too late. Both frames "
            "that are added belong in front.",
        )
        require(
            not close(other[:, seen], plain[:, seen], 1e-6),
            f"frame {frame} does not change features {seen}: they should mix frames "
            f"{2 * seen - 2}, {2 * seen - 1} and {2 * seen}.",
        )
    yield "no feature knows a later frame"

    for frame, other in changed.items():
        past = frame // 2 + 2  # the first features that do not mix it any more
        require(
            close(other[:, past:], plain[:, past:], 1e-3),
            f"frame {frame} changes features {past} or later ones, which do not mix it: normalize "
            "each frame by its own numbers, not those of all before.",
        )

    picture = features(video[:, :1])
    require(
        close(picture, plain[:, :1]),
        "a picture, which is a video of one frame, has other features than the same picture as "
        "the first frame of a longer video.",
    )
    yield "a picture is a video of one frame"

    still = features(video[:, :1].expand(-1, length, -1, -1, -1))
    require(
        close(still, still[:, -1:].expand_as(still)),
        "in a video in which nothing moves the first features differ from the others: empty frames "
        "were put in front, a past of darkness that never was. Before it began, the first frame "
        "stood still.",
    )
    yield "a video that stands still has features that do"

    require(
        not any(close(plain, _reference(video, weight.flip(0), k)) for k in (1, 0)),
        "weight[2] belongs to the newest of the three frames, weight[0] to the oldest.",
    )
    scaled = features(4 * video + 3)
    require(
        close(scaled, plain, 1e-3),
        "a video with more contrast, 4 · video + 3, has other features: each frame should still be "
        "normalized, by its own mean and deviation.",
    )
    for axes in ((3, 4), (2,), (2, 3), (2, 4), (3,), (4,)):
        require(
            not any(close(plain, _reference(video, weight, k, axes)) for k in (1, 0)),
            "a frame has *one* mean and *one* deviation, over channels, height and width together.",
        )
    require(
        any(close(plain, _reference(video, weight, k)) for k in (1, 0)),
        "features j are not weight[0] · (frame 2 j - 2) + weight[1] · (frame 2 j - 1) + "
        "weight[2] · (frame 2 j) of frames that are each normalized by numbers of their own.",
    )
    yield "three frames are mixed, the newest by weight[2]"


def _reference(
    video: Tensor, weight: Tensor, correction: int, axes: tuple[int, ...] = (2, 3, 4)
) -> Tensor:
    deviation = video.std(axes, keepdim=True, correction=correction)
    x = (video - video.mean(axes, keepdim=True)) / deviation
    x = torch.cat([x[:, :1], x[:, :1], x], dim=1)
    windows = x.unfold(1, 3, 2)  # [B, t, C, H, W, 3]
    return torch.einsum("btchwk,kdc->btdhw", windows, weight.double())
