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

    for again, still, done in (
        (False, True, False), (True, False, True), (True, False, False), (True, True, False)
    ):  # fmt: skip
        _judge_steps(steps_left, *_episode(draw, 0, still, again), done)
    yield "also where the last step changes nothing, and where what is said was given up before"


def _episode(
    draw: torch.Generator, first: int, still_at_last: bool = False, again: bool = False
) -> tuple[Tensor, Tensor]:
    """Sentences, and whether nothing moved. Each case that one may forget is in it.

    ``again``: the last sentence was said before, and given up for another."""
    a, b, c = (torch.randperm(5, generator=draw)[:3]).tolist()
    n = [integer(draw, low, low + 2) for low in (2, 4, 2, 4)]
    said, still = [], []
    for sentence, count, moved in (
        (a, n[0], [False] * n[0]),  # given up: something else is said
        (b, n[1], [False] * (n[1] - 1) + [True]),  # said until it is done
        (b, 2, [False, True]),  # and once more, from elsewhere
        (a, n[2], [False] * n[2]),  # given up again
        (b, 2, [True, True]),  # done before it was said
        (c, 2 * again, [False] * 2 * again),
        (a, 3 * again, [False] * 3 * again),
        (c, n[3], [False] * (n[3] - 1) + [still_at_last]),  # at the end of the episode
    )[first:]:
        said += [sentence] * count
        still += moved
    return torch.tensor(said), torch.tensor(still)


def _labels(said: Tensor, still: Tensor, done: bool, **wrong: int) -> Tensor:
    """The steps; or what comes of a mistake, which may say what it gives."""
    left, steps = [], -1
    for t in reversed(range(len(said))):
        last = t + 1 == len(said)
        if still[t] and "still_ignored" not in wrong and not (last and "last_ignored" in wrong):
            steps = wrong.get("still_gives", 0)
        elif last:
            steps = wrong.get("done_gives", 1) if done else wrong.get("cut_gives", -1)
        elif said[t + 1] == said[t] or "across" in wrong:
            steps = steps + 1 if steps >= wrong.get("least_known", 0) else -1
        else:
            steps = wrong.get("change_gives", -1)
        left.append(steps)
    return torch.tensor(left[::-1])


def _by_sentence(said: Tensor, still: Tensor, done: bool, goes_on: bool) -> Tensor:
    """What comes of one counter for each sentence; one that goes on counts other steps, too."""
    left: dict[int, int] = {int(said[-1]): 0} if done else {}
    steps = []
    for t in reversed(range(len(said))):
        now = int(said[t])
        left = {s: n + (goes_on or s == now) for s, n in left.items()}
        if still[t]:
            left[now] = 0
        steps.append(left.get(now, -1))
    return torch.tensor(steps[::-1])


def _judge_steps(steps_left: Answer, said: Tensor, still: Tensor, done: bool) -> None:
    got = tensor(steps_left(said, still, done), (len(said),), "steps_left(said, still, done)")
    want = _labels(said, still, done)
    if close(got, want):
        return

    def comes_of(**wrong: int) -> bool:
        return close(got, _labels(said, still, done, **wrong))

    if not done and (comes_of(cut_gives=1) or comes_of(cut_gives=0)):
        raise Hint(
            "the time ran out at the end of this episode (`done` is false): what was being said "
            "was not reached, and nobody knows how many more steps it takes. -1."
        )
    if done and close(got[:-1], _labels(said, still, False)[:-1]):
        raise Hint(
            "the last step of this episode did what was said (`done` is true): it took that one "
            "step, and the sayings that led up to it are known, too."
        )
    if comes_of(last_ignored=True) or (still[-1] and close(got[:-1], want[:-1])):
        raise Hint(
            "the last step changed nothing, so what was said was done: 0, also when time ran out."
        )
    if comes_of(across=True):
        raise Hint(
            "you count on across a change of sentence: the steps until *another* sentence is done "
            "say nothing about this one."
        )
    if any(close(got, _by_sentence(said, still, done, goes_on)) for goes_on in (True, False)):
        raise Hint("something else was said in between: forget the count.")
    if comes_of(change_gives=1) or comes_of(change_gives=0):
        raise Hint(
            "a new sentence does not say that the old one was done: it may have been given up. "
            "Where nothing else shows it, -1."
        )
    if comes_of(still_gives=1):
        raise Hint("where saying it changes nothing it is done already: 0 steps are left, not 1.")
    ignored = any(comes_of(still_ignored=True, change_gives=n) for n in (-1, 0, 1))
    if ignored or close(got[~still], want[~still]):
        raise Hint("a step that changes nothing: 0. It shows that what was said is done already.")
    if done and comes_of(done_gives=0):
        raise Hint(
            "the step that ends the episode still had to be made: 1 step is left before it, not 0."
        )
    if comes_of(least_known=-1):
        raise Hint(
            "one step before an unknown number is an unknown number, too: -1 + 1 is not 0 here."
        )
    if comes_of(least_known=1):
        raise Hint("0 is a known number: one step before it, 1 step is left.")
    if close(got, torch.where(want < 0, 0, want)):
        raise Hint("unknown is -1; 0 means that it is done already.")
    if close(got.flip(0), want):
        raise Hint("the result is the wrong way round in time: the first step comes first.")
    t = int((got != want).nonzero()[0])
    raise Hint(
        f"at step {t} of {len(said)} you give {got[t]:g}, and it should be {int(want[t])}. Said: "
        f"{said.tolist()}; still: {still.int().tolist()}; done: {done}."
    )
