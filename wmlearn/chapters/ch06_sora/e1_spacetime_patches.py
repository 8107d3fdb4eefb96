"""Exercise 06.1: a video as a row of spacetime patches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, integer, normal, require, seeded, tensor

_AXES = ("time", "row", "column")
_INSIDE = ("frame", "channel", "row", "column")


@exercise("06.1", "a video as a row of spacetime patches")
def spacetime_patches(patches: Answer, video_of: Answer, *, seed: int = 0) -> Iterator[str]:
    """``patches(video, t, p) -> [N, t C p p]`` for a video ``[T, C, H, W]``; and the way back."""
    draw = seeded(seed)
    t, p = 2, 3
    video = normal(draw, 3 * t, 4, 4 * p, (3 + integer(draw, 2, 3)) * p)
    parts = _cut(video, t, p)
    count, width = parts.shape[:3].numel(), parts.shape[3:].numel()
    want = _row(parts)
    got = tensor(patches(video, t, p), (count, width), "the patches")
    yield "as many patches as there should be, each with all of its numbers"

    if not close(got, want):
        _refuse(got, parts, video)
    yield "each patch is a block of the video, in its place in the row"

    for t, p in ((1, 2), (3, 1), (2, 2)):
        video = normal(draw, 2 * t, 4, 3 * p, 2 * p)
        want = _row(_cut(video, t, p))
        got = tensor(patches(video, t, p), tuple(want.shape), f"the patches for t={t}, p={p}")
        require(
            close(got, want),
            f"with t={t} and p={p} the patches are wrong: are 2 and 3 written into the function?",
        )
        shape = tuple(video.shape)
        back = tensor(video_of(want, shape, t, p), shape, "the video")
        require(
            not close(back, want.reshape(shape)) or close(back, video),
            "the way back only reshapes the rows: split them into the seven axes, move those back "
            "to where they came from, and only then join them.",
        )
        require(
            close(back, video),
            f"with t={t} and p={p} the way back does not give the video that the rows came from: "
            "undo the last step first; a permutation is undone by its inverse.",
        )
    yield "other sizes of patches work too, and the way back gives the video"


def _cut(video: Tensor, t: int, p: int) -> Tensor:
    """[time, row, column, frame, channel, row, column]."""
    frames, channels, height, width = video.shape
    x = video.reshape(frames // t, t, channels, height // p, p, width // p, p)
    return x.permute(0, 3, 5, 1, 2, 4, 6)


def _row(parts: Tensor) -> Tensor:
    return parts.flatten(3).flatten(0, 2)


def _refuse(got: Tensor, parts: Tensor, video: Tensor) -> None:
    require(
        not close(got, video.reshape(got.shape)),
        "this only reshapes the video: a row of its numbers is not a block of it. Split the axes "
        "first (`reshape` to T/t, t, C, H/p, p, W/p, p), then move them (`permute`).",
    )
    for order in list(permutations(range(3)))[1:]:
        other = _row(parts.permute(*order, 3, 4, 5, 6))
        if other.shape == got.shape and close(got, other):
            names = ", ".join(_AXES[i] for i in order)
            raise Hint(
                f"the patches are right, but in the order {names}: first all patches of the first "
                "t frames, row by row, as one reads; time is the outermost."
            )
    for order in list(permutations(range(4)))[1:]:
        other = _row(parts.permute(0, 1, 2, *(3 + i for i in order)))
        if close(got, other):
            names = ", ".join(_INSIDE[i] for i in order)
            raise Hint(
                f"inside a patch the numbers run over {names}; they should run over "
                f"{', '.join(_INSIDE)}, the last one fastest."
            )
    raise Hint(
        "row k should hold the numbers of patch k: count patches by time, then row, then column, "
        "and inside a patch frame, channel, row, column."
    )
