"""Exercise 08.2: a few levels a number."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer, Leaf
from wmlearn.teach.checks import (
    Hint,
    between,
    close,
    exercise,
    integer,
    pair,
    require,
    seeded,
    tensor,
)


@exercise("08.2", "a few levels a number")
def a_few_levels(quantize: Answer, vectors: Answer, *, seed: int = 0) -> Iterator[str]:
    """``quantize(x [..., D], levels) -> vectors [..., D], codes [...]``; ``vectors(codes,
    levels)``."""
    draw = seeded(seed)
    levels = [[4, 3, 6], [6, 5, 2], [3, 4, 8]][integer(draw, 0, 2)]
    digits = torch.cartesian_prod(*(torch.arange(n) for n in levels))
    digits = digits[torch.randperm(len(digits), generator=draw)].unflatten(0, (2, -1))
    count = torch.tensor(levels).double()
    inside = between(draw, 0.15, 0.85, *digits.shape)
    inside[digits == count - 2] = 0.96  # here x and tanh(x) lie in different cells
    x = (2 * (digits + inside) / count - 1).atanh().float().double()
    want, codes = _middle(digits, count), _codes(digits, levels)
    hint = "quantize should return two things: the vectors, and the codes."
    answer = pair(quantize(x, levels), 2, hint)
    value = tensor(answer[0], tuple(x.shape), "vectors")
    if not close(value, want):
        _explain(value, x, digits, count)
    yield "each coordinate goes to the middle of its cell"

    edge = torch.tensor([[40.0] * 3, [-40.0] * 3]).double()
    got, ends = pair(quantize(edge, levels), 2, hint)
    got = tensor(got, (2, 3), "vectors")
    for row, middle, where, cell in (
        (got[0], 1 - 1 / count, "at x = 40 tanh(x) is 1", "last, number L - 1"),
        (got[1], 1 / count - 1, "at x = -40 tanh(x) is -1", "first, number 0"),
    ):
        require(
            close(row, middle),
            f"{where}, and the cell should still be the {cell}; there your vectors are "
            f"{[round(number, 3) for number in row.tolist()]}.",
        )
    yield "the ends belong to the first and the last cell"

    found = torch.as_tensor(answer[1])
    require(
        not found.is_floating_point(),
        "codes are whole numbers (an embedding looks them up): end with `.long()`.",
    )
    found = tensor(found, tuple(x.shape[:-1]), "the codes")
    require(
        not close(found, codes + 1), "codes count from 0: the lowest cell everywhere is code 0."
    )
    require(
        not close(found, _codes(digits.flip(-1), levels[::-1])),
        "the places are the other way round: the *first* coordinate's cell counts once, the "
        "second's L₀ times, the third's L₀ L₁ times.",
    )
    require(
        not close(found, (digits * torch.tensor([1, levels[1], levels[1] * levels[2]])).sum(-1)),
        "a place is worth the product of the levels *before* it, not of its own.",
    )
    require(
        len(set(found.flatten().tolist())) == math.prod(levels),
        f"there are {math.prod(levels)} combinations of cells and only "
        f"{len(set(found.flatten().tolist()))} codes: different cells share one.",
    )
    require(
        close(found, codes),
        "code = number₀ + L₀ · number₁ + L₀ L₁ · number₂, and so on.",
    )
    last = tensor(torch.as_tensor(ends), (2,), "the codes")
    require(
        close(last, torch.tensor([math.prod(levels) - 1, 0])),
        f"with levels {levels} codes run from 0 to {math.prod(levels) - 1}, at the ends, too.",
    )
    yield "every combination of cells has a code of its own"

    other = [2, 7, 4, 3]
    count = torch.tensor(other).double()
    digits = torch.stack([torch.randint(n, (6,), generator=draw) for n in other], dim=-1)
    small = (2 * (digits + between(draw, 0.2, 0.8, 6, 4)) / count - 1).atanh().float().double()
    reply = quantize.ask(Leaf(small), other, pull=(torch.ones(6, 4).double(), None))
    value, found = pair(reply.value, 2, hint)
    require(
        close(tensor(value, (6, 4), "vectors"), _middle(digits, count))
        and close(tensor(found, (6,), "the codes"), _codes(digits, other)),
        f"with four coordinates, levels {other}, vectors or codes are others than asked for: go "
        "through `levels`, however many they are.",
    )
    slope = reply.gradients[0]
    require(
        slope is not None and slope.abs().sum() > 0,
        "no gradient reaches x: rounding is flat. Add what rounding changes as a constant, "
        "`y + (rounded - y).detach()`.",
    )
    require(
        not close(slope, 1),
        "the gradient goes around tanh as well: only rounding is passed straight through, so "
        "start from y = tanh(x), not from x.",
    )
    require(
        close(slope, 1 - small.tanh().square()),
        "the gradient should be that of tanh(x), 1 - tanh(x)², as if nothing had been rounded.",
    )
    yield "the gradient passes rounding, and only that"

    all_codes = torch.arange(math.prod(other))
    given = all_codes.view(4, -1).flip(0)
    got = tensor(vectors(given, other), (*given.shape, 4), "vectors(codes, levels)")
    numbers = torch.stack(torch.unravel_index(given, other[::-1])[::-1], dim=-1)
    require(
        not close(got, numbers.double()),
        "these are the cells' numbers; the vectors are the middles of those cells.",
    )
    require(
        close(got, _middle(numbers, count)),
        "vectors(codes, levels) should give what `quantize` gave for these codes: number₀ is the "
        "code modulo L₀, number₁ is code // L₀ modulo L₁, and so on.",
    )
    yield "a code says which vector it was"


def _explain(value: Tensor, x: Tensor, digits: Tensor, count: Tensor) -> None:
    """Why vectors are not the middles of the cells."""
    require(
        not close(value, digits.double()),
        "the vectors hold the cells' numbers; they should hold the middles of the cells, in "
        "-1 ... 1.",
    )
    require(
        not close(value, 2 * digits / count - 1),
        "the vectors hold the lower ends of the cells, not their middles: half a cell is missing.",
    )
    require(
        not close(value, 2 * digits / (count - 1) - 1),
        "the cells' numbers are spread from -1 to 1: the lowest level is the middle of the first "
        "cell, 1 / L - 1, not -1.",
    )
    require(
        not close(value, x.tanh()),
        "the vectors are not rounded at all: that is tanh(x).",
    )
    cut = ((x.clamp(-1, 1) + 1) / 2 * count).floor().minimum(count - 1)
    require(
        not close(value, _middle(cut, count)),
        "x is cut off at -1 and 1; it should be squashed by tanh, so that no gradient dies.",
    )
    raise Hint(
        "cut -1 ... 1 into L equal cells, take the one that tanh(x) lies in (round down), and "
        "return its middle, (2 · number + 1) / L - 1; each coordinate has an L of its own."
    )


def _middle(number: Tensor, count: Tensor) -> Tensor:
    return (2 * number + 1) / count - 1


def _codes(digits: Tensor, levels: list[int]) -> Tensor:
    basis = torch.tensor([math.prod(levels[:i]) for i in range(len(levels))])
    return (digits * basis).sum(-1)
