"""A mask over the full duration, wrong."""

from __future__ import annotations

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
