"""The loss of the next frame, wrong and right."""

from __future__ import annotations


def _true(frames):
    return frames[:, 1:] - frames[:, :-1]


def added_up(change, frames):
    return (change - _true(frames)).square().sum()


def the_frame_itself(change, frames):
    return (change - frames[:, 1:]).square().mean()


def turned(change, frames):
    return (change + _true(frames)).square().mean()


def not_squared(change, frames):
    return (change - _true(frames)).abs().mean()


WRONG = [
    ("added_up", (added_up,), "added up"),
    ("the_frame_itself", (the_frame_itself,), "the next frame itself"),
    ("turned", (turned,), "the sign is turned"),
    ("not_squared", (not_squared,), "is squared"),
]


def in_loops(change, frames):
    errors = [
        (change[:, t] - (frames[:, t + 1] - frames[:, t])).pow(2).mean()
        for t in range(change.shape[1])
    ]
    return sum(errors) / len(errors)


def by_the_next_frame(change, frames):
    return (frames[:, :-1] + change - frames[:, 1:]).norm() ** 2 / change.numel()


RIGHT = [("in_loops", (in_loops,)), ("by_the_next_frame", (by_the_next_frame,))]
