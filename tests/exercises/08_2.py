"""A few levels a number, wrong."""

from __future__ import annotations

import math

import torch


def _quantize(
    x, levels, squash="tanh", step="floor", clamp=True, through="straight", reverse=False,
    whole=True, middle="middle", one=0, less=0,
):  # fmt: skip
    count = torch.tensor(levels)
    y = x.tanh() if squash == "tanh" else x.clamp(-1, 1)
    cells = getattr((y + 1) / 2 * count, step)() - less
    cells = cells.minimum(count - 1) if clamp else cells
    value = {
        "middle": (2 * cells + 1) / count - 1,
        "low": 2 * cells / count - 1,
        "spread": 2 * cells / (count - 1) - 1,
        "number": cells,
        "none": y,
    }[middle]
    ways = {
        "straight": y + (value - y).detach(),
        "flat": value.detach() + 0 * y,
        "around": x + (value - x).detach(),
    }
    order = list(reversed(range(len(levels)))) if reverse else list(range(len(levels)))
    code, worth = 0, 1
    for i in order:
        code, worth = code + worth * cells[..., i], worth * levels[i]
    return ways[through], (code.long() if whole else code) + one


def right(x, levels):
    """A right one, to go with wrong vectors."""
    return _quantize(x, levels)


def back(codes, levels):
    """A right one, to go with wrong codes."""
    worth = [math.prod(levels[:i]) for i in range(len(levels))]
    digits = [codes // w % n for w, n in zip(worth, levels, strict=True)]
    return torch.stack([(2 * d + 1) / n - 1 for d, n in zip(digits, levels, strict=True)], -1)


def not_squashed(x, levels):
    return _quantize(x, levels, squash="clamp")


def to_the_nearest(x, levels):
    return _quantize(x, levels, step="round")


def no_clamp(x, levels):
    return _quantize(x, levels, clamp=False)


def no_clamp_below(x, levels):
    return _quantize(x, levels, step="ceil", clamp=False, less=1)


def no_gradient(x, levels):
    return _quantize(x, levels, through="flat")


def around_tanh(x, levels):
    return _quantize(x, levels, through="around")


def lower_ends(x, levels):
    return _quantize(x, levels, middle="low")


def from_end_to_end(x, levels):
    return _quantize(x, levels, middle="spread")


def numbers_of_cells(x, levels):
    return _quantize(x, levels, middle="number")


def not_rounded(x, levels):
    return _quantize(x, levels, middle="none")


def places_reversed(x, levels):
    return _quantize(x, levels, reverse=True)


def own_levels_as_places(x, levels):
    vectors, _ = right(x, levels)
    count = torch.tensor(levels)
    cells = ((vectors + 1) * count / 2).floor().long()
    places = torch.tensor([1, *levels[1:]]).cumprod(0)
    return vectors, (cells * places).sum(-1)


def sum_of_cells(x, levels):
    vectors, _ = right(x, levels)
    return vectors, ((vectors + 1) * torch.tensor(levels) / 2).floor().long().sum(-1)


def codes_from_one(x, levels):
    return _quantize(x, levels, one=1)


def codes_as_floats(x, levels):
    return _quantize(x, levels, whole=False)


def vectors_alone(x, levels):
    return right(x, levels)[0]


def one_level_for_all(x, levels):
    return _quantize(x, [levels[0]] * len(levels))


def reads_from_the_left(codes, levels):
    return back(codes, levels[::-1]).flip(-1)


def digits_alone(codes, levels):
    return (back(codes, levels) + 1) * torch.tensor(levels) / 2 - 0.5


def never_divides(codes, levels):
    return torch.stack([(2 * (codes % n) + 1) / n - 1 for n in levels], -1)


WRONG = [
    ("not_squashed", (not_squashed, back), "squashed by tanh"),
    ("to_the_nearest", (to_the_nearest, back), "L equal cells"),
    ("no_clamp", (no_clamp, back), "at x = 40"),
    ("no_clamp_below", (no_clamp_below, back), "at x = -40"),
    ("no_gradient", (no_gradient, back), "rounding is flat"),
    ("around_tanh", (around_tanh, back), "around tanh as well"),
    ("lower_ends", (lower_ends, back), "half a cell"),
    ("from_end_to_end", (from_end_to_end, back), "spread from -1 to 1"),
    ("numbers_of_cells", (numbers_of_cells, back), "vectors hold the cells' numbers"),
    ("not_rounded", (not_rounded, back), "not rounded at all"),
    ("places_reversed", (places_reversed, back), "the other way round"),
    ("own_levels_as_places", (own_levels_as_places, back), "not of its own"),
    ("sum_of_cells", (sum_of_cells, back), "share one"),
    ("codes_from_one", (codes_from_one, back), "count from 0"),
    ("codes_as_floats", (codes_as_floats, back), "whole numbers"),
    ("vectors_alone", (vectors_alone, back), "two things"),
    ("digits_alone", (right, digits_alone), "these are the cells' numbers"),
    ("never_divides", (right, never_divides), "number₁ is code // L₀"),
]
ALSO = [
    ("one_level_for_all", (one_level_for_all, back), "L equal cells"),
    ("reads_from_the_left", (right, reads_from_the_left), "number₁ is code // L₀"),
]


# Right answers in other styles.


def nearest_middle(x, levels):
    """Each coordinate to the nearest of a list of middles."""
    y, codes, found, worth = torch.tanh(x.double()), 0, [], 1
    for i, n in enumerate(levels):
        middles = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
        cell = (y[..., i, None].detach() - middles).abs().argmin(-1)
        codes, worth = codes + cell * worth, worth * n
        found.append(y[..., i] + middles[cell] - y[..., i].detach())
    return torch.stack(found, -1), codes


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, count):
        return ((y + 1) * count / 2).floor().clamp(min=0).minimum(count - 1)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def own_backward(x, levels):
    count = torch.tensor(levels)
    y = torch.tanh(x)
    cells = _Round.apply(y, count)  # passes the gradient of y on; the factor is set right below
    value = (2 * cells.detach() + 1) / count - 1 + (cells - cells.detach())
    codes = cells.detach().long()
    for n in range(len(levels) - 1, 0, -1):
        codes[..., n - 1] += levels[n - 1] * codes[..., n]
    return value, codes[..., 0]


def with_unravel(codes, levels):
    digits = torch.stack(torch.unravel_index(codes, tuple(levels[::-1]))[::-1], -1)
    return (digits + 0.5) / torch.tensor(levels) * 2 - 1


RIGHT = [
    ("nearest_middle", (nearest_middle, back)),
    ("own_backward", (own_backward, with_unravel)),
]
