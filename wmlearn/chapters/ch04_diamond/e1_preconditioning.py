"""Exercise 04.1: EDM's four coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, pair, require, seeded, tensor

_NAMES = ("c_in", "c_out", "c_skip", "c_noise")


@exercise("04.1", "EDM's four coefficients")
def preconditioning(coefficients: Answer, *, divisor: float = 4, seed: int = 0) -> Iterator[str]:
    """``coefficients(sigma, sigma_data, sigma_offset) -> (c_in, c_out, c_skip, c_noise)``.

    ``divisor``: c_noise is the logarithm of the whole noise level, divided by it.
    """
    draw = seeded(seed)
    sigma = torch.tensor([0.002, 0.1, 0.5, 1.7, 20.0]).double() * between(draw, 0.8, 1.2, 5)
    sigma = sigma.float().double()
    data, offset = 0.5, 0.3
    got = _four(coefficients(sigma, data, offset), sigma)
    _refuse_another_order(got, sigma**2 + offset**2, data, divisor)
    c_in, c_out, c_skip, c_noise = got
    yield "four coefficients, one value for each sigma"

    total = sigma**2 + offset**2  # the variance of all the noise on a pixel
    variance = c_in**2 * (data**2 + total)
    if not close(variance, 1):
        require(
            not close(c_in**2 * (data**2 + sigma**2), 1),
            "c_in leaves out the offset noise: the network sees it too, so the noise on a pixel "
            "has variance sigma² + sigma_offset².",
        )
        require(
            not close(c_in**2 * (data**2 + (sigma + offset) ** 2), 1),
            "two independent noises add their variances, not their standard deviations: "
            "combine sigma and sigma_offset as the root of the sum of squares.",
        )
        require(
            not close(c_in * (data**2 + total), 1),
            "c_in divides by a variance; divide by a standard deviation (its square root).",
        )
        raise Hint(
            f"c_in · x should have variance 1 at every sigma; at sigma = {sigma[3]:g} it has "
            f"{variance[3]:.3f}. The variance of x is the data's plus the noise's."
        )
    yield "the network's input has variance 1 at every noise level"

    best = data**2 / (data**2 + total)  # minimizes the variance of clean - c_skip * x
    if not close(c_skip, best, 1e-5):
        require(
            not close(c_skip, 1 - best),
            "c_skip is upside down: without noise the answer is x itself, so c_skip is near 1 "
            "for small sigma and near 0 for large sigma.",
        )
        require(
            not close(c_skip, data / (data + total.sqrt())),
            "c_skip compares standard deviations; it is a share of variances, so square both.",
        )
        require(
            not close(c_skip, data**2 / (data**2 + total.sqrt())),
            "c_skip adds a variance (sigma_data²) and a standard deviation: sigma is not squared.",
        )
        raise Hint(
            "c_skip · x should be the best linear guess of the clean image: the data's share of "
            f"the variance of x. At sigma = {sigma[3]:g} we get {best[3]:.4f}, you {c_skip[3]:.4f}."
        )
    yield "c_skip · x is the best linear guess of the clean image"

    require((c_in > 0).all() and (c_out > 0).all(), "c_in and c_out are scales: both are positive.")
    target = ((1 - c_skip) ** 2 * data**2 + c_skip**2 * total) / c_out**2
    require(
        close(target, 1),
        "c_out should scale the target (clean - c_skip · x) / c_out to variance 1; at sigma = "
        f"{sigma[3]:g} its variance is {target[3]:.3f}. The limits help: c_out is near sigma for "
        "little noise, near sigma_data for much.",
    )
    yield "the network's target has variance 1 at every noise level"

    step = total.log() / 2
    if not close(c_noise, step / divisor, 1e-5):
        require(
            not close(c_noise, sigma.log() / divisor),
            "c_noise still uses the bare sigma: tell the network the whole noise level, "
            "with the offset in it.",
        )
        share = "a quarter" if divisor == 4 else f"1/{divisor:g}"
        raise Hint(f"c_noise is {share} of the natural logarithm of the whole noise level.")
    yield "c_noise is the right share of the log of the noise level"

    for data, offset in ((float(between(draw, 0.15, 0.3)), 0.0), (0.9, 0.7)):
        got = _four(coefficients(sigma, data, offset), sigma)
        total = sigma**2 + offset**2
        want = _exact(total, data)
        require(
            all(map(close, got[:3], want)) and close(got[3], total.log() / 2 / divisor),
            f"with sigma_data = {data:.2f} and sigma_offset = {offset:.1f} the answer is wrong: "
            "are 0.5 or 0.3 written into the function in place of its arguments?",
        )
    yield "other values of sigma_data and sigma_offset work too"


def _exact(total: Tensor, data: float) -> tuple[Tensor, Tensor, Tensor]:
    """c_in, c_out and c_skip for noise of the variance ``total``."""
    variance = total + data**2
    return variance**-0.5, data * (total / variance).sqrt(), data**2 / variance


def _refuse_another_order(got: list[Tensor], total: Tensor, data: float, divisor: float) -> None:
    right = (*_exact(total, data), total.log() / 2 / divisor)
    for order in list(permutations(range(4)))[1:]:
        if all(close(mine, right[i], 1e-5) for mine, i in zip(got, order, strict=True)):
            names = ", ".join(_NAMES[i] for i in order)
            raise Hint(
                f"the values are right, but you return them in the order {names}; the order is "
                f"{', '.join(_NAMES)}."
            )


def _four(answer: object, sigma: Tensor) -> list[Tensor]:
    answer = pair(answer, 4, f"return the four coefficients in this order: {', '.join(_NAMES)}.")
    return [tensor(value, sigma.shape, name) for value, name in zip(answer, _NAMES, strict=True)]
