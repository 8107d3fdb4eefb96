"""Exercise 07.5: how hard may one search?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import (
    Hint,
    between,
    close,
    exercise,
    integer,
    normal,
    pair,
    require,
    seeded,
    tensor,
)

STARTS = 50


@exercise("07.5", "how hard may one search?")
def how_hard_to_search(too_good: Answer, how_many: Answer, *, seed: int = 0) -> Iterator[str]:
    """``too_good(count, error) -> float``; ``how_many(reward, judge, counts) -> promise, verdict,
    best``."""
    draw = seeded(seed)
    error = round(float(between(draw, 1.5, 3.0)), 2)
    one = tensor(too_good(1, error), (), "too_good(1, error)")
    require(
        close(one, 0),
        f"with one candidate nothing is chosen, so its error is 0 in the mean; you give {one:.3f}.",
    )
    for count in (integer(draw, 4, 6), 2, integer(draw, 10, 40)):
        got = tensor(too_good(count, error), (), "too_good(count, error)")
        want = error * (count - 1) / (count + 1)
        require(
            not close(got, -want),
            "that is the mean error of the chosen one, below 0; asked is by how much its promise "
            "is too good, a number above 0.",
        )
        require(
            not close(got, error * (1 - 1 / count)),
            "the least of `count` numbers that are spread over an interval lies 1 / (count + 1) of "
            "its length from the lower end, not 1 / count: there is a gap at both ends.",
        )
        require(
            not close(got, want / 2),
            "errors lie between -error and +error: the interval is 2 error long.",
        )
        require(
            got < error - 1e-3,
            f"no error is larger than {error}, so that their mean is smaller; you give {got:.3f}.",
        )
        require(
            close(got, want),
            f"of {count} candidates the chosen one's promise is {want:.4f} too good, not "
            f"{got:.4f}: where does the least of `count` uniform numbers lie in the mean?",
        )
    yield "whoever chooses the least chooses errors, too"

    for turn, counts in (
        (5, [1, 3, 5, 12, 24]),
        (24, [1, 3, 6, 24]),
        (0, [1, 4, 16]),
        (9, [2, 5, 9, 14]),
        (5, [8, 1, 3]),
    ):
        _judge_search(how_many, *_heads(draw, turn, counts), counts)
    yield "promise, verdict and the best number of candidates"


def _heads(draw: torch.Generator, turn: int, counts: list[int]) -> tuple[Tensor, Tensor]:
    """Steps to go of candidates by two models: up to ``turn`` of them the first is nearly right,
    behind it are holes in which it promises much, and the second one does not."""
    most = max(counts)
    true = between(draw, 4.0, 12.0, STARTS, most)
    reward, judge = (true + 0.2 * normal(draw, STARTS, most) for _ in range(2))
    reward -= 0.05 * torch.arange(most)
    hole = torch.rand(STARTS, most, generator=draw) < 0.6
    hole[:, max(1, turn) :] |= torch.arange(most)[max(1, turn) :] == max(1, turn)
    hole[:, : max(1, turn)] = False
    promised = between(draw, 0.2, 2.0, STARTS, most)
    behind = between(draw, 14.0, 20.0, STARTS, most)
    reward, judge = torch.where(hole, promised, reward), torch.where(hole, behind, judge)
    return reward.float().double(), judge.float().double()


def _judge_search(how_many: Answer, reward: Tensor, judge: Tensor, counts: list[int]) -> None:
    answer = pair(
        how_many(reward, judge, counts), 3,
        "how_many should return three things: promise, verdict, best.",
    )  # fmt: skip
    promise, verdict = (
        tensor(x, (len(counts),), name)
        for x, name in zip(answer[:2], ("promise", "verdict"), strict=True)
    )
    chosen = [reward[:, :n].argmin(1, keepdim=True) for n in counts]
    promised = torch.stack([reward.gather(1, i).mean() for i in chosen])
    judged = torch.stack([judge.gather(1, i).mean() for i in chosen])
    require(
        not (close(promise, judged) and close(verdict, promised)),
        "promise and verdict are exchanged.",
    )
    ascending = torch.tensor(counts).argsort()
    require(
        close(promise, promised) or not close(promise, promised[ascending]),
        f"counts may come in any order, here {counts}: promise and verdict stand in the same.",
    )
    if not close(promise, promised):
        require(
            not close(promise, torch.stack([reward[:, :n].mean() for n in counts])),
            "the promise is that of the *chosen* candidate, the least of the first `count`, not "
            "the mean of all.",
        )
        require(
            not close(promise, torch.stack([reward[:, :n].amax(1).mean() for n in counts])),
            "fewer steps to go are better: the search takes the least.",
        )
        raise Hint(
            "for each count, the promise is the mean over starts of the least reward[:, :count]: "
            "each start chooses its own candidate."
        )
    if not close(verdict, judged):
        require(
            not close(verdict, torch.stack([judge[:, :n].amin(1).mean() for n in counts])),
            "here the judge chooses, too: it should only say what it thinks of the candidate that "
            "the *reward* has chosen. A judge that chooses is exploited in its turn.",
        )
        require(
            not close(verdict, torch.stack([judge[:, :n].mean() for n in counts])),
            "the verdict is about the chosen candidate of each start, not about all.",
        )
        raise Hint(
            "for each count, the verdict is the mean over starts of the judge's steps for the "
            "candidate that the reward chose there."
        )
    require(answer[2] is not None, "best is None; it should be one of the counts.")
    best, right = tensor(answer[2], (), "best"), counts[int(judged.argmin())]
    if best == right:
        return
    gaps = judged - promised
    require(
        best not in (counts[int(gaps.argmin())], counts[int(gaps.abs().argmin())]),
        "where promise and verdict agree best, nearly nothing was searched: asked is the count at "
        "which the *judge* sees the fewest steps to go.",
    )
    require(
        best != counts[int(promised.argmin())],
        "the promise gets better with every candidate: that is what a search does, also where only "
        "the reward's errors are found. Choose the count by the verdict.",
    )
    require(
        best != int(judged.argmin()),
        f"best is the place in the list; asked is the count itself, {right}.",
    )
    raise Hint(f"best should be {right}, the count with the lowest verdict, not {best:g}.")
