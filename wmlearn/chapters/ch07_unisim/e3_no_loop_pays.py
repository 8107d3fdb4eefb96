"""Exercise 07.3: repair a reward that pays for walking to and fro."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import between, close, exercise, require, seeded, tensor

DREAMS, STEPS = 6, 6


@exercise("07.3", "repair a reward that pays for walking to and fro")
def no_loop_pays(rewards: Answer, *, seed: int = 0) -> Iterator[str]:
    """``rewards(left [B, T + 1], ended bool [B, T], gamma) -> [B, T]``."""
    draw = seeded(seed)
    left = between(draw, 1.0, 9.0, DREAMS, STEPS + 1)
    left[0] = torch.tensor([5, 4, 5, 4, 5, 4, 5]) + float(between(draw, 0.1, 0.6))  # to and fro
    gamma = round(float(between(draw, 0.8, 0.95)), 3)
    never = torch.zeros(DREAMS, STEPS, dtype=torch.bool)
    got = tensor(rewards(left, never, gamma), (DREAMS, STEPS), "rewards(left, ended, gamma)")
    now, after = left[:, :-1], left[:, 1:]
    discount = gamma ** torch.arange(STEPS)
    total, ways = (got * discount).sum(1), left[:, 0] - gamma**STEPS * left[:, -1]
    require(
        not (got >= -1e-9).all() or close(total, ways),
        "a step away from the goal costs nothing, so whoever walks to and fro is paid for every "
        "step forth and never pays for one back. Let steps back cost what steps forth earn.",
    )
    require(
        not (close(got, -now) or close(got, -after) or close(got, -gamma * after)),
        "this pays by how near the goal is, not by how much nearer a step has come: the reward is "
        "a difference.",
    )
    require(
        not (close(got, after - now) or close(got, gamma * after - now)),
        "the sign is turned round: a step that leaves fewer steps to go should be paid.",
    )
    loop = float((got[0] * discount).sum())
    require(
        not close(got, now - after),
        f"steps back now cost what steps forth earn, but later rewards count less: the dream that "
        f"walks to and fro and ends where it began has the discounted return {loop:.2f}. It should "
        "be left[0] - gamma**T left[T]: which of the two numbers of a step belongs to the later "
        "time?",
    )
    require(
        not close(got, gamma * now - after),
        "gamma stands at the wrong one of the two: the number *after* the step is the later one.",
    )
    require(
        close(total, ways),
        "the discounted return of a dream should be left[0] - gamma**T left[T], whatever lies in "
        "between: write down the sum for T = 2, and see which terms have to cancel.",
    )
    require(
        close(got, now - gamma * after),
        "the return is right, but not step by step: each reward may look at the numbers before and "
        "after its own step only.",
    )
    yield "the return depends on where a dream begins and ends, not on its way"

    ended = never.clone()
    ended[1, 2] = ended[2, 0] = ended[3, -1] = True
    ended[4, 1] = ended[4, 4] = True  # what follows the end is nobody's dream
    got = tensor(rewards(left, ended, gamma), (DREAMS, STEPS), "rewards(left, ended, gamma)")
    first = ended & (ended.long().cumsum(1) == 1)
    gone = (ended.long().cumsum(1) - ended.long()) > 0
    plain = now - gamma * after
    require(
        not close(got[first], plain[first]),
        "where a step ends the task, nothing is left after it: 0, whatever the head says of that "
        "frame. Else the last step is paid too little, and staying near pays as well as arriving.",
    )
    require(
        not close(got[first], 0),
        "the step that ends the task is not paid at all: it is the one to be paid. Only the steps "
        "*after* it pay nothing.",
    )
    require(
        close(got[first], now[first]),
        "the step that ends the task should be paid all that was left before it.",
    )
    require(
        close(got[gone], 0),
        "after the step that ended the task nothing is paid any more, whatever follows.",
    )
    require(
        close(got, torch.where(first, now, plain).masked_fill(gone, 0.0)),
        "where no step has ended the task, `ended` should change nothing.",
    )
    yield "at the end nothing is left, and after it nothing is paid"
