"""Exercise 05.1: v, and the way back from it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import close, exercise, normal, pair, require, seeded, tensor


@exercise("05.1", "v, and the way back from it")
def turning_back(v_target: Answer, turn_back: Answer, *, seed: int = 0) -> Iterator[str]:
    """``v_target(x, eps, alpha, sigma)``; ``turn_back(z, v, alpha, sigma) -> x, eps``."""
    draw = seeded(seed)
    x, eps = normal(draw, 2, 6, 3).unbind(0)
    angle = torch.linspace(0.0, torch.pi / 2, 6)[:, None].double()
    alpha, sigma = angle.cos().float().double(), angle.sin().float().double()
    alpha[-1] = 0.0
    v = tensor(v_target(x, eps, alpha, sigma), (6, 3), "v_target(x, eps, alpha, sigma)")
    require(
        close(v[0], eps[0]),
        "without noise (alpha = 1, sigma = 0) z is x, and v should be the noise, eps.",
    )
    require(
        close(v[-1], -x[-1]),
        "in pure noise (alpha = 0, sigma = 1) v should be -x: mind the sign.",
    )
    require(close(v, alpha * eps - sigma * x), "v = alpha eps - sigma x at every level.")
    yield "v is the noise at one end, minus the data at the other"

    z = alpha * x + sigma * eps
    answer = pair(
        turn_back(z, alpha * eps - sigma * x, alpha, sigma),
        2,
        "turn_back should return two tensors: the clean sample and the noise.",
    )
    clean = tensor(answer[0], (6, 3), "the clean sample")
    noise = tensor(answer[1], (6, 3), "the noise")
    require(
        not (close(clean, eps) and close(noise, x)),
        "the two are in the wrong order: the clean sample first, then the noise.",
    )
    require(
        close(clean, x),
        "the clean sample is alpha z - sigma v: write z and v in x and eps, and use "
        "alpha² + sigma² = 1.",
    )
    require(close(noise, eps), "the noise is sigma z + alpha v.")
    yield "from z and v both come back, at every level"
