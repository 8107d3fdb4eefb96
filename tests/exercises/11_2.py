"""A mask over the full duration, wrong."""

from __future__ import annotations

import numpy as np
import torch


def _covered(height, width, blocks, more=0, swap=False):
    covered = torch.zeros(height, width, dtype=torch.bool)
    for top, left, rows, columns in blocks:
        if swap:
            top, left, rows, columns = left, top, columns, rows
        covered[top : top + rows + more, left : left + columns + more] = True
    return covered


def _split(everywhen):
    return (~everywhen).nonzero()[:, 0], everywhen.nonzero()[:, 0]


def first_frame_only(grid, blocks):
    times, height, width = grid
    covered = _covered(height, width, blocks).flatten()
    return _split(torch.cat([covered, torch.zeros((times - 1) * len(covered), dtype=torch.bool)]))


def time_fastest(grid, blocks):
    times, height, width = grid
    return _split(_covered(height, width, blocks).flatten().repeat_interleave(times))


def rows_and_columns_swapped(grid, blocks):
    times, height, width = grid
    return _split(_covered(height, width, blocks, swap=True).flatten().repeat(times))


def end_included(grid, blocks):
    times, height, width = grid
    return _split(_covered(height, width, blocks, more=1).flatten().repeat(times))


def everything_is_visible(grid, blocks):
    times, height, width = grid
    everywhen = _covered(height, width, blocks).flatten().repeat(times)
    return torch.arange(len(everywhen)), everywhen.nonzero()[:, 0]


def overlap_counted_twice(grid, blocks):
    times, height, width = grid
    each = [_covered(height, width, [block]).flatten().repeat(times) for block in blocks]
    hidden = torch.cat([one.nonzero()[:, 0] for one in each]).sort().values
    return (~torch.stack(each).any(0)).nonzero()[:, 0], hidden


def exchanged(grid, blocks):
    times, height, width = grid
    return _split(_covered(height, width, blocks).flatten().repeat(times))[::-1]


def masks_in_place_of_numbers(grid, blocks):
    times, height, width = grid
    everywhen = _covered(height, width, blocks).flatten().repeat(times)
    return ~everywhen, everywhen


def place_by_place(grid, blocks):
    times, height, width = grid
    covered = _covered(height, width, blocks).flatten()
    start = height * width * torch.arange(times)
    both = [(part.nonzero() + start).flatten() for part in (~covered, covered)]
    return both[0], both[1]


WRONG = [
    ("first_frame_only", (first_frame_only,), "only the first moment"),
    ("time_fastest", (time_fastest,), "time is slowest"),
    ("rows_and_columns_swapped", (rows_and_columns_swapped,), "rows and columns are exchanged"),
    ("end_included", (end_included,), "one row and one column too large"),
    ("everything_is_visible", (everything_is_visible,), "the mask leaks"),
    ("overlap_counted_twice", (overlap_counted_twice,), "hidden twice"),
    ("exchanged", (exchanged,), "visible and hidden are exchanged"),
    ("masks_in_place_of_numbers", (masks_in_place_of_numbers,), "whole numbers"),
    ("place_by_place", (place_by_place,), "ascending order"),
]


def adds_to_the_blocks(grid, blocks):
    inside = torch.zeros(grid[1:], dtype=torch.bool)
    while blocks:
        top, left, rows, columns = blocks.pop()
        inside[top : top + rows, left : left + columns] = True
    everywhen = inside.flatten().repeat(grid[0])
    return (~everywhen).nonzero()[:, 0], everywhen.nonzero()[:, 0]


# Right answers in other styles.


def with_sets(grid, blocks):
    times, height, width = grid
    hidden = {
        (t * height + y) * width + x
        for top, left, rows, columns in blocks
        for t in range(times)
        for y in range(top, top + rows)
        for x in range(left, left + columns)
    }
    visible = set(range(times * height * width)) - hidden
    return (torch.tensor(sorted(visible), dtype=torch.long),
            torch.tensor(sorted(hidden), dtype=torch.long))  # fmt: skip


def with_numpy(grid, blocks):
    covered = np.zeros(grid, dtype=bool)
    for top, left, rows, columns in blocks:
        covered[:, top : top + rows, left : left + columns] = True
    return np.flatnonzero(~covered), np.flatnonzero(covered)


WRONG += [("adds_to_the_blocks", (adds_to_the_blocks,), "changed its argument `blocks`")]
RIGHT = [("with_sets", (with_sets,)), ("with_numpy", (with_numpy,))]
