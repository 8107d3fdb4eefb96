"""Masks in time and the copying baseline, wrong and right."""

from __future__ import annotations

import numpy as np
import torch


def _mask(seen_times, first_hidden):
    def time_mask(grid, seen, length):
        area, total = grid[1] * grid[2], grid[0] * grid[1] * grid[2]
        numbers = torch.arange(total)
        visible, hidden = seen_times(seen, length) * area, first_hidden(seen, length) * area
        return numbers[:visible], numbers[hidden:]

    return time_mask


def _whole(seen, length):
    return seen // length


def _part(seen, length):
    return -(-seen // length)


mask = _mask(_whole, _part)


def copy(features, grid, seen, length, at=None):
    area = grid[1] * grid[2]
    times = features.unflatten(1, (grid[0], area))
    last = seen // length - 1 if at is None else at
    hidden = grid[0] - _part(seen, length)
    return times[:, last : last + 1].expand(-1, hidden, -1, -1).flatten(1, 2)


def exchanged(grid, seen, length):
    return mask(grid, seen, length)[::-1]


def time_fastest(grid, seen, length):
    numbers = torch.arange(grid[0] * grid[1] * grid[2])
    time = numbers % grid[0]
    return numbers[time < seen // length], numbers[time >= _part(seen, length)]


def not_sorted(grid, seen, length):
    return tuple(part.flip(0) for part in mask(grid, seen, length))


def floats(grid, seen, length):
    return tuple(part.float() for part in mask(grid, seen, length))


def copies_the_first(features, grid, seen, length):
    return copy(features, grid, seen, length, at=0)


def copies_the_half_seen(features, grid, seen, length):
    return copy(features, grid, seen, length, at=_part(seen, length) - 1)


def copies_the_mean(features, grid, seen, length):
    area = grid[1] * grid[2]
    times = features.unflatten(1, (grid[0], area))
    mean = times[:, : seen // length].mean(1, keepdim=True)
    return mean.expand(-1, grid[0] - _part(seen, length), -1, -1).flatten(1, 2)


def gives_the_future(features, grid, seen, length):
    return features[:, mask(grid, seen, length)[1]]


def mixes_the_places(features, grid, seen, length):
    made = copy(features, grid, seen, length)
    return made.roll(1, dims=1)


def one_time_only(features, grid, seen, length):
    return copy(features, grid, seen, length)[:, : grid[1] * grid[2]]


def from_the_end(grid, seen, length):
    numbers = torch.arange(grid[0] * grid[1] * grid[2])
    area = grid[1] * grid[2]
    return numbers[: seen // length * area], numbers[-(grid[0] - _part(seen, length)) * area :]


def at_least_one_time(grid, seen, length):
    numbers = torch.arange(grid[0] * grid[1] * grid[2])
    area = grid[1] * grid[2]
    return numbers[: max(1, seen // length) * area], numbers[_part(seen, length) * area :]


# Right answers in other styles.


def mask_in_loops(grid, seen, length):
    visible, hidden, number = [], [], 0
    for t in range(grid[0]):
        for _ in range(grid[1] * grid[2]):
            if t * length + length - 1 < seen:
                visible.append(number)
            elif t * length >= seen:
                hidden.append(number)
            number += 1
    return torch.tensor(visible), torch.tensor(hidden)


def mask_with_numpy(grid, seen, length):
    time = np.repeat(np.arange(grid[0]), grid[1] * grid[2])
    return np.flatnonzero((time + 1) * length <= seen), np.flatnonzero(time * length >= seen)


def copy_in_loops(features, grid, seen, length):
    area, made = grid[1] * grid[2], []
    for number in mask(grid, seen, length)[1].tolist():
        made.append(features[:, (seen // length - 1) * area + number % area].double())
    return torch.stack(made, 1)


WRONG = [
    ("exchanged", (exchanged, copy), "visible and hidden are exchanged"),
    ("counts_frames", (_mask(lambda s, n: s, lambda s, n: s), copy), "`seen` counts frames"),
    ("time_fastest", (time_fastest, copy), "so that time is slowest"),
    ("not_sorted", (not_sorted, copy), "ascending order"),
    ("floats", (floats, copy), "whole numbers"),
    ("half_seen_is_visible", (_mask(_part, _part), copy), "half in the future, and yet visible"),
    ("half_seen_is_hidden", (_mask(_whole, _whole), copy), "half seen, and yet hidden"),
    ("copies_the_first", (mask, copies_the_first), "copies the *first* time"),
    ("copies_the_half_seen", (mask, copies_the_half_seen), "what you copy is half in the future"),
    ("copies_the_mean", (mask, copies_the_mean), "the mean over all times"),
    ("gives_the_future", (mask, gives_the_future), "that is the answer itself"),
    ("mixes_the_places", (mask, mixes_the_places), "the *same place*"),
    ("one_time_short", (_mask(_whole, lambda s, n: s // n + 1), copy), "one time too few"),
    ("two_times_short", (_mask(_whole, lambda s, n: s // n + 2), copy), "visible is right, but"),
    ("from_the_end", (from_the_end, copy), "with n = 0 is everything"),
    ("at_least_one_time", (at_least_one_time, copy), "was seen as a whole: none is"),
    ("one_time_only", (mask, one_time_only), "should have shape"),
]
RIGHT = [
    ("in_loops", (mask_in_loops, copy_in_loops)),
    ("mask_with_numpy", (mask_with_numpy, copy_in_loops)),
]
