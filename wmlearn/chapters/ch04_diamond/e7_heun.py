"""Exercise 04.7: Heun's second look, and its cost."""

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
    normal,
    pair,
    require,
    seeded,
    tensor,
)

F64 = torch.float64


@exercise("04.7", "Heun's second look, and its cost")
def heun(
    heun_sample: Answer, steps_within: Answer, *, cost: int = 1, seed: int = 0
) -> Iterator[str]:
    """``heun_sample(denoise, x, levels)``; ``steps_within(budget) -> (euler, heun)``.

    ``cost``: what one call of the denoiser takes of the budget.
    """
    draw = seeded(seed)
    mean, std = float(between(draw, 0.2, 0.6)), float(between(draw, 0.2, 0.4))
    high = float(between(draw, 4.0, 6.0))
    start = high * normal(draw, 6, 1)
    seen: list[float] = []

    def estimate(x: Tensor, sigma: float) -> Tensor:
        return (std**2 * x + sigma**2 * mean) / (std**2 + sigma**2)

    def denoise(x: Tensor, sigma: Tensor | float) -> Tensor:
        seen.append(float(torch.as_tensor(sigma).flatten()[0]))
        return estimate(x, seen[-1])

    def run(levels: list[float]) -> Tensor:
        seen.clear()
        out = heun_sample(denoise, start, torch.tensor(levels, dtype=F64))
        require(
            0.0 not in seen,
            "the denoiser was called at sigma = 0: the last step has no second look, since the "
            "slope there divides by 0. It stays an Euler step.",
        )
        return tensor(out, (6, 1), "the sample")

    one = run([high, 0.0])
    require(
        close(one, estimate(start, high)),
        "one step from sigma_max to 0 should land on the denoiser's estimate, as with Euler.",
    )
    yield "the last step is Euler's"

    middle = float(between(draw, 0.8, 1.2))
    two = run([high, middle, 0.0])
    first = (start - estimate(start, high)) / high
    guess = start + first * (middle - high)
    second = (guess - estimate(guess, middle)) / middle
    want, only = (start + slope * (middle - high) for slope in ((first + second) / 2, second))
    if not close(two, estimate(want, middle)):
        require(
            not close(two, estimate(guess, middle)),
            "this is Euler's sampler still: its slope at the start of a step is used alone. Take "
            "the mean of it and the slope at the guess.",
        )
        require(
            not close(two, estimate(only, middle)),
            "the second slope alone is used: take the mean of both.",
        )
        require(
            not close(two, estimate(guess + second * (middle - high), middle))
            and not close(two, estimate(guess + (first + second) / 2 * (middle - high), middle)),
            "the way is gone twice: either the corrected step sets out from the guess, and not "
            "from the x at the beginning of the step, or the two slopes are added, not halved.",
        )
        raise Hint(
            "two steps do not agree with the closed form: guess with Euler's step, look again at "
            "the guess (with the level of the *next* step), and go from the old x by the mean of "
            "the two slopes."
        )
    yield "the mean of two slopes, from the old place"

    require(
        all(map(close, seen, [high, middle, middle])) and len(seen) == 3,
        f"the denoiser was called at {', '.join(f'{s:.2f}' for s in seen)}; two steps need "
        f"{high:.2f}, then the second look at {middle:.2f}, then the last step from {middle:.2f}.",
    )
    levels = _levels(15, high)
    fine, coarse = run(levels), _euler(estimate, start, _levels(29, high))
    require(
        len(seen) == 29,
        f"15 steps called the denoiser {len(seen)} times: two calls each, but one in the last, "
        "are 29.",
    )
    exact = mean + (start - mean) * std / (std**2 + high**2) ** 0.5
    require(
        (fine - exact).abs().max() < 0.5 * (coarse - exact).abs().max(),
        "15 of Heun's steps should come nearer to the truth than 29 of Euler's, at the same price.",
    )
    yield "29 calls for 15 steps, and nearer than Euler's 29"

    for budget in (1, 2, 3, 8, 11, 20 + seed % 7):
        got = steps_within(budget * cost + cost - 1)
        got = pair(got, 2, "steps_within returns two numbers: of Euler's steps and of Heun's.")
        numbers = [tensor(x, (), "a number of steps") for x in got]
        euler, steps = budget, (budget + 1) // 2
        require(
            numbers[0] != steps or numbers[1] != euler or euler == steps,
            "the two numbers are exchanged: Euler's steps come first.",
        )
        require(
            numbers[0] == euler,
            f"a budget for {budget} calls is enough for {euler} of Euler's steps, one call each; "
            f"not for {numbers[0]:g}.",
        )
        require(
            numbers[1] == steps,
            f"a budget for {budget} calls is enough for {steps} of Heun's steps, since n steps "
            f"call the denoiser 2n - 1 times; not for {numbers[1]:g}.",
        )
    yield "the budget buys n of Euler's steps, or half as many of Heun's, rounded up"


def _levels(count: int, high: float) -> list[float]:
    ramp = torch.linspace(0, 1, count, dtype=F64)
    return [*((high ** (1 / 7) + ramp * (0.02 ** (1 / 7) - high ** (1 / 7))) ** 7).tolist(), 0.0]


def _euler(estimate: object, x: Tensor, levels: list[float]) -> Tensor:
    for sigma, after in zip(levels[:-1], levels[1:], strict=True):
        x = x + (x - estimate(x, sigma)) / sigma * (after - sigma)
    return x
