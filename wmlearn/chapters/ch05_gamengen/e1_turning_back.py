"""Exercise 05.1: v, and the way back from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from wmlearn.teach.checks import close, exercise, function, require, tensor

F64 = torch.float64


@exercise("05.1", "v, and the way back from it")
def turning_back(v_target: Callable, turn_back: Callable) -> Iterator[str]:
    """``v_target(x, eps, alpha, sigma)``; ``turn_back(z, v, alpha, sigma) -> x, eps``."""
    function(v_target, "v_target")
    function(turn_back, "turn_back")
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 6, 3, generator=generator, dtype=F64).unbind(0)
    angle = torch.linspace(0.0, torch.pi / 2, 6, dtype=F64)[:, None]
    alpha, sigma = angle.cos(), angle.sin()
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
    kept = z.clone(), v.clone()
    answer = turn_back(z, v, alpha, sigma)
    require(
        isinstance(answer, (tuple, list)) and len(answer) == 2,
        "turn_back should return two tensors: the clean sample and the noise.",
    )
    require(
        torch.equal(z, kept[0]) and torch.equal(v, kept[1]),
        "turn_back changed z or v in place: make new tensors.",
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
