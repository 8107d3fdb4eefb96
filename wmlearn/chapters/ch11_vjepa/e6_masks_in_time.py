"""Exercise 11.6: a mask in time, and what copying is worth."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.chapters.ch11_vjepa.e2_tube_mask import numbers
from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import (
    Hint,
    close,
    exercise,
    integer,
    normal,
    pair,
    require,
    seeded,
    tensor,
)

_TWO = "return two tensors: the numbers of the visible tubelets, and those of the hidden ones."


@exercise("11.6", "a mask in time, and what copying is worth")
def masks_in_time(time_mask: Answer, copy_last: Answer, *, seed: int = 0) -> Iterator[str]:
    """``time_mask(grid, seen, length) -> (visible, hidden)``; ``copy_last(features, grid, seen,
    length) -> [B, K, D]``."""
    draw = seeded(seed)
    places = (integer(draw, 2, 3), 4)
    grid, area = (5, *places), places[0] * 4

    def run(grid: tuple, seen: int, length: int) -> tuple[Tensor, Tensor]:
        answer = pair(time_mask(grid, seen, length), 2, _TWO)
        return numbers(answer[0], "visible"), numbers(answer[1], "hidden")

    visible, hidden = run(grid, 6, 2)  # frames 0 to 5 are tubelet times 0, 1 and 2
    want = torch.arange(5 * area)
    if not (torch.equal(visible, want[: 3 * area]) and torch.equal(hidden, want[3 * area :])):
        require(
            not torch.equal(visible.sort().values, want[3 * area :]),
            "visible and hidden are exchanged: what was seen is visible.",
        )
        require(
            len(visible) != 5 * area and len(visible) != 6 * area,
            "`seen` counts frames, and a tubelet is `length` frames long: 6 frames are 3 times of "
            "tubelets of length 2.",
        )
        require(
            not torch.equal(visible.sort().values, want[: 3 * area])
            or not torch.equal(hidden.sort().values, want[3 * area :]),
            "give both lists in ascending order.",
        )
        require(
            not torch.equal(hidden, want[4 * area :]) or len(visible) != 3 * area,
            "one time too few is hidden: 6 frames are exactly 3 tubelets of 2, so time 3 was not "
            "seen at all. `seen // length + 1` skips a time where `length` divides `seen`.",
        )
        require(
            not torch.equal(visible, want[: 3 * area]),
            f"what is visible is right, but hidden should be tubelets {3 * area} to "
            f"{5 * area - 1}, all of the times that were not seen.",
        )
        require(
            len(visible) != 3 * area,
            "the right number of tubelets is visible, but not the right ones: tubelet (t, y, x) "
            "has number (t · H + y) · W + x, so that time is slowest.",
        )
        raise Hint(
            f"with 6 frames seen, in tubelets of 2 frames, tubelets 0 to {3 * area - 1} are "
            f"visible and {3 * area} to {5 * area - 1} hidden; you make {len(visible)} visible and "
            f"{len(hidden)} hidden."
        )
    yield "what was seen is visible, what comes later is hidden"

    for seen, length in ((7, 2), (5, 3), (5, 2), (9, 3), (10, 3)):
        visible, hidden = run(grid, seen, length)
        first, last = seen // length, -(-seen // length)
        require(
            not (length * first != seen and visible.numel() == last * area),
            f"with {seen} frames seen and tubelets of {length} frames, tubelet time {first} is "
            "half in the future, and yet visible: its features hold frames that were not seen.",
        )
        require(
            not (length * first != seen and len(visible) + len(hidden) == 5 * area),
            f"with {seen} frames seen and tubelets of {length} frames, tubelet time {first} is "
            "half seen, and yet hidden: a part of what is to be guessed was seen. It is neither.",
        )
        require(
            torch.equal(visible, want[: first * area]) and torch.equal(hidden, want[last * area :]),
            f"with {seen} frames seen and tubelets of {length} frames on the grid {grid}, visible "
            f"are tubelets 0 to {first * area - 1}, hidden are those from {last * area} on.",
        )
    yield "a tubelet that is half seen is neither"

    for seen, length in ((10, 2), (9, 2), (15, 3), (1, 2), (2, 3), (0, 2)):
        visible, hidden = run(grid, seen, length)
        first, last = seen // length, -(-seen // length)
        require(
            last < 5 or len(hidden) == 0,
            f"with {seen} frames seen and tubelets of {length} frames, no tubelet is wholly in the "
            "future: none is hidden, and the list is empty. A slice `[-n:]` with n = 0 is "
            "everything.",
        )
        require(
            first > 0 or len(visible) == 0,
            f"with seen = {seen} no tubelet of {length} frames was seen as a whole: none is "
            "visible, and the list is empty.",
        )
        require(
            torch.equal(visible, want[: first * area]) and torch.equal(hidden, want[last * area :]),
            f"with {seen} frames seen and tubelets of {length} frames on the grid {grid}, "
            f"{first * area} tubelets are visible and {(5 - last) * area} hidden; you make "
            f"{len(visible)} visible and {len(hidden)} hidden.",
        )
    yield "a list is empty where all was seen, or no tubelet as a whole"

    features = normal(draw, 2, 5 * area, 3)
    for seen, length in ((6, 2), (7, 2), (5, 3), (2, 2)):
        first, last = seen // length, -(-seen // length)
        shape = (2, (5 - last) * area, 3)
        got = tensor(copy_last(features, grid, seen, length), shape, "copy_last(...)")
        old = features.view(2, 5, area, 3)
        want_copy = old[:, first - 1 : first].expand(-1, 5 - last, -1, -1).flatten(1, 2)
        if close(got, want_copy):
            continue
        require(
            not close(got, old[:, :1].expand(-1, 5 - last, -1, -1).flatten(1, 2)),
            "that copies the *first* time; the last one that was wholly seen is nearer to what "
            "comes.",
        )
        require(
            last == first or not close(got, old[:, first : first + 1].expand(
                -1, 5 - last, -1, -1).flatten(1, 2)),
            "what you copy is half in the future: copy the last time that was *wholly* seen.",
        )  # fmt: skip
        mean = old[:, :first].mean(1, keepdim=True).expand(-1, 5 - last, -1, -1).flatten(1, 2)
        require(
            not close(got, mean),
            "that is the mean over all times that were seen; copy the last one.",
        )
        require(
            not close(got, old[:, last:].flatten(1, 2)),
            "that is the answer itself, the features of the hidden tubelets: the future leaks.",
        )
        raise Hint(
            "each hidden tubelet should get the feature of the *same place* at the last time that "
            f"was wholly seen (here time {first - 1} of 5); the hidden times stand one after the "
            "other."
        )
    yield "every hidden tubelet gets what its place was last"
