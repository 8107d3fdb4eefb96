"""Exercise 07.2: how long did it take?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, integer, pair, require, seeded, tensor


@exercise("07.2", "how long did it take?")
def how_long(hindsight: Answer, steps_left: Answer, *, seed: int = 0) -> Iterator[str]:
    """``hindsight(start, ahead, end) -> goal, steps, known``; ``steps_left(said, still, done) ->
    [T]``."""
    draw = seeded(seed)
    first = integer(draw, 20, 40)
    start = torch.tensor([0, 2, 4, 5, 6, 9]) + first
    ahead = torch.tensor([1, 3, 1, 4, 2, 7]) + torch.tensor([0, 1, 0, 1, 0, 2]) * integer(
        draw, 0, 1
    )
    end = torch.tensor([5, 6, 6, 8, 6, 12]) + first  # the fifth one begins at its episode's end
    answer = pair(
        hindsight(start, ahead, end), 3, "hindsight should return three: goal, steps, known."
    )
    names = "goal", "steps", "known"
    goal, steps, known = (
        tensor(x, (len(start),), name) for x, name in zip(answer, names, strict=True)
    )
    require(
        not close(goal, start + ahead),
        "some goals lie behind the last frame of their episode: that is another episode, to which "
        "no way leads. Take the episode's last frame instead.",
    )
    right = torch.minimum(start + ahead, end)
    require(close(goal, right), "the goal is frame start + ahead, but never one behind `end`.")
    require(
        not close(steps, ahead),
        "where the goal had to be moved to the episode's end, it is fewer than `ahead` steps away: "
        "count to the goal that you give.",
    )
    require(close(steps, right - start), "steps are counted from start to goal.")
    require(
        not close(known, torch.ones(len(start))),
        "one start is the last frame of its episode, so that its goal is the start itself: that "
        "teaches nothing, and known should be false.",
    )
    require(
        not close(known, start + ahead <= end),
        "known is false only where there is no later frame: a goal that was moved to the "
        "episode's end is as good as any.",
    )
    require(
        close(known, right > start), "known should be true where the goal lies after the start."
    )
    yield "any later frame of an episode is a goal that was reached"

    for done in (False, True):
        for first in (0, 1):  # the first step's sentence is given up, or done
            _judge_steps(steps_left, *_episode(draw, first), done)
        how = "reached its end" if done else "was cut"
        yield f"steps of what was said, in an episode that {how}"


def _episode(draw: torch.Generator, first: int) -> tuple[Tensor, Tensor]:
    """Sentences, and whether nothing moved. Each case that one may forget is in it."""
    a, b, c = (torch.randperm(5, generator=draw)[:3]).tolist()
    n = [integer(draw, low, low + 2) for low in (2, 4, 2, 4)]
    said, still = [], []
    for sentence, count, moved in (
        (a, n[0], [False] * n[0]),  # given up: something else is said
        (b, n[1], [False] * (n[1] - 1) + [True]),  # said until it is done
        (b, 2, [False, True]),  # and once more, from elsewhere
        (a, n[2], [False] * n[2]),  # given up again
        (b, 2, [True, True]),  # done before it was said
        (c, n[3], [False] * n[3]),  # at the end of the episode
    )[first:]:
        said += [sentence] * count
        still += moved
    return torch.tensor(said), torch.tensor(still)


def _labels(said: Tensor, still: Tensor, done: bool, **wrong: bool) -> Tensor:
    """The steps; or what comes of a mistake."""
    left, steps = [], -1
    for t in reversed(range(len(said))):
        last = t + 1 == len(said)
        goes_on = not last and (bool(said[t + 1] == said[t]) or "across" in wrong)
        if still[t]:
            steps = 1 if "still_is_one" in wrong else 0
        elif last and done:
            steps = 0 if "done_is_zero" in wrong else 1
        else:
            steps = steps + 1 if goes_on and (steps >= 0 or "from_unknown" in wrong) else -1
        left.append(steps)
    return torch.tensor(left[::-1])


def _judge_steps(steps_left: Answer, said: Tensor, still: Tensor, done: bool) -> None:
    got = tensor(steps_left(said, still, done), (len(said),), "steps_left(said, still, done)")
    want = _labels(said, still, done)
    if close(got, want):
        return
    if not done and close(got, _labels(said, still, True)):
        raise Hint(
            "the time ran out at the end of this episode (`done` is false): what was being said "
            "was not reached, and nobody knows how many more steps it takes. -1."
        )
    if done and close(got[:-1], _labels(said, still, False)[:-1]):
        raise Hint(
            "the last step of this episode did what was said (`done` is true): it took that one "
            "step, and the sayings that led up to it are known, too."
        )
    if close(got, _labels(said, still, done, across=True)):
        raise Hint(
            "you count on across a change of sentence: the steps until *another* sentence is done "
            "say nothing about this one."
        )
    if close(got, _labels(said, still, done, still_is_one=True)):
        raise Hint("where saying it changes nothing it is done already: 0 steps are left, not 1.")
    if done and close(got, _labels(said, still, done, done_is_zero=True)):
        raise Hint(
            "the step that ends the episode still had to be made: 1 step is left before it, not 0."
        )
    if close(got, _labels(said, still, done, from_unknown=True)):
        raise Hint(
            "one step before an unknown number is an unknown number, too: -1 + 1 is not 0 here."
        )
    if close(got, torch.where(want < 0, 0, want)):
        raise Hint("unknown is -1; 0 means that it is done already.")
    if close(got.flip(0), want):
        raise Hint("the result is the wrong way round in time: the first step comes first.")
    t = int((got != want).nonzero()[0])
    raise Hint(
        f"at step {t} of {len(said)} you give {got[t]:g}, and it should be {int(want[t])}. Said: "
        f"{said.tolist()}; still: {still.int().tolist()}; done: {done}."
    )
