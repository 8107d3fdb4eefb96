"""Exercise 11.2: a mask over the full duration."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, exercise, integer, require, seeded


@exercise("11.2", "a mask over the full duration")
def check_mask(tube_mask: Answer, *, seed: int = 0) -> Iterator[str]:
    """``tube_mask(grid, blocks) -> (visible [M], hidden [K])``, numbers of tubelets, ascending."""
    draw = seeded(seed)
    times, height, width = grid = (integer(draw, 3, 4), 4, integer(draw, 6, 7))
    left = integer(draw, 1, 2)
    blocks = [(0, left, 2, 3), (1, left + 2, 3, 2)]  # the two overlap
    result = tube_mask(grid, blocks)
    require(
        isinstance(result, tuple | list) and len(result) == 2,
        "return two tensors: the numbers of the visible tubelets, and those of the hidden ones.",
    )
    visible, hidden = map(numbers, result, ("visible", "hidden"))
    yield "two lists of numbers"

    inside = torch.zeros(height, width, dtype=torch.bool)
    for top, left, rows, columns in blocks:
        inside[top : top + rows, left : left + columns] = True
    want = inside.flatten().repeat(times).nonzero()[:, 0]
    rest = (~inside).flatten().repeat(times).nonzero()[:, 0]
    if not torch.equal(hidden.sort().values, want):
        require(
            not torch.equal(hidden.unique(), want),
            "some tubelets are hidden twice: blocks overlap, so take their union before you count.",
        )
        require(
            not torch.equal(hidden.unique(), rest) or not torch.equal(visible.unique(), want),
            "visible and hidden are exchanged: what the blocks cover is hidden.",
        )
        places = inside.flatten().nonzero()[:, 0]
        require(
            not torch.equal(hidden.unique(), places),
            "only the first moment is masked: a place that is hidden at one time and seen at the "
            "next can be copied. Hide it at all times.",
        )
        fastest = (places[:, None] * times + torch.arange(times)).flatten()
        require(
            not torch.equal(hidden.unique(), fastest.unique()),
            "the numbers run through time first; tubelet (t, y, x) has number (t · H + y) · W + x: "
            "time is slowest.",
        )
        for turned, hint in ((_swapped, _SWAPPED), (_longer, _LONGER)):
            other = turned(blocks, height, width).flatten().repeat(times).nonzero()[:, 0]
            require(not torch.equal(hidden.unique(), other), hint)
        raise Hint(
            f"{len(want)} tubelets should be hidden, {int(inside.sum())} places at each of "
            f"{times} times; yours are {len(hidden)}."
        )
    yield "the union of the blocks is hidden, at all times"

    both = set(visible.tolist()) & set(hidden.tolist())
    require(
        not both,
        f"the mask leaks: {len(both)} of the visible tubelets are hidden ones too, so the encoder "
        "sees what it is to predict.",
    )
    require(
        torch.equal(visible.sort().values, rest),
        "all that is not hidden is visible: together the two hold every tubelet once.",
    )
    yield "nothing is both, nothing is lost"

    require(
        torch.equal(visible, rest) and torch.equal(hidden, want),
        "give both lists in ascending order, so that a number's place is known.",
    )
    single = tube_mask((2, 3, 3), [(1, 1, 1, 1)])
    require(
        torch.equal(numbers(single[1], "hidden"), torch.tensor([4, 13])),
        "with a grid of (2, 3, 3) and one block of one place in the middle, tubelets 4 and 13 are "
        "hidden.",
    )
    full = tube_mask((1, 2, 3), [(0, 0, 2, 2), (0, 2, 2, 1)])
    require(
        len(numbers(full[0], "visible")) == 0 and len(numbers(full[1], "hidden")) == 6,
        "where the blocks cover everything nothing is visible: of (1, 2, 3) all six are hidden.",
    )
    yield "ascending, on another grid too"


_SWAPPED = (
    "rows and columns are exchanged: a block is (top, left, rows, columns), and rows go down."
)
_LONGER = "the blocks are one row and one column too large: `top : top + rows`, the end excluded."


def numbers(value: object, name: str) -> Tensor:
    """A list of tubelet numbers as int64; otherwise a hint."""
    require(value is not None, f"{name} is None: is a `return` missing?")
    try:
        value = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise Hint(f"{name} should be a tensor of numbers.") from None
    require(value.ndim == 1, f"{name} should be a list of numbers, shape [n]; it has {value.ndim} "
            "axes.")  # fmt: skip
    require(
        value.numel() == 0 or not value.is_floating_point() and value.dtype != torch.bool,
        f"{name} should hold whole numbers (int64), not {value.dtype}.",
    )
    return value.long()


def _swapped(blocks: list[tuple], height: int, width: int) -> Tensor:
    inside = torch.zeros(height, width, dtype=torch.bool)
    for top, left, rows, columns in blocks:
        inside[left : left + columns, top : top + rows] = True
    return inside


def _longer(blocks: list[tuple], height: int, width: int) -> Tensor:
    inside = torch.zeros(height, width, dtype=torch.bool)
    for top, left, rows, columns in blocks:
        inside[top : top + rows + 1, left : left + columns + 1] = True
    return inside
