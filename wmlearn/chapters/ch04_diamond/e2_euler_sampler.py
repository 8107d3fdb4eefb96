"""Exercise 04.2: the noise schedule and an Euler sampler."""

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
    require,
    seeded,
    tensor,
)

F64 = torch.float64


@exercise("04.2", "the noise schedule and an Euler sampler")
def euler_sampler(
    noise_levels: Answer,
    euler_sample: Answer,
    *,
    rho: float = 7.0,
    high: float = 5.0,
    seed: int = 0,
) -> Iterator[str]:
    """``noise_levels(num_steps, low, high, rho)``; ``euler_sample(denoise, x, levels)``.

    ``rho`` and ``high`` are the defaults that this course asks for.
    """
    draw = seeded(seed)
    low, count = 2e-3, integer(draw, 5, 8)
    raw = noise_levels(count, low, high, rho)
    require(raw is not None, "noise_levels returned None: is a `return` missing?")
    require(
        list(torch.as_tensor(raw).shape) != [count],
        "the schedule has no final 0: after num_steps noise levels comes one more, sigma = 0, "
        "or the last noise is never taken away.",
    )
    levels = tensor(raw, (count + 1,), f"noise_levels({count}, ...)")
    require(
        levels[0] > levels[1],
        "the schedule should fall from sigma_max to 0: sampling starts with the most noise.",
    )
    require(
        close(levels[0], high) and close(levels[-2], low, 1e-6) and levels[-1] == 0,
        "the schedule should start at sigma_max, come to sigma_min, and end with exactly 0.",
    )
    yield "the schedule falls from sigma_max to sigma_min, then 0"

    steps = (levels[:-1] ** (1 / rho)).diff()
    require(
        close(steps, steps.mean()),
        "the steps should be equal in sigma**(1/rho), not in sigma: interpolate the roots, then "
        "raise them to the power rho.",
    )
    require(
        close(tensor(noise_levels(1, low, high, rho), (2,), "noise_levels(1, ...)"), [high, 0.0]),
        "with one step the schedule is [sigma_max, 0].",
    )
    require(
        close(tensor(noise_levels(count), (count + 1,), f"noise_levels({count})"), levels, 1e-5),
        f"called with the number of steps alone, the schedule has sigma_max = {high:g} and "
        f"rho = {rho:g}: these are the defaults of this exercise.",
    )
    other = between(draw, 0.02, 0.1), between(draw, 2.0, 3.0), between(draw, 2.5, 5.0)
    least, most, root = map(float, other)
    got = tensor(noise_levels(4, least, most, root), (5,), "noise_levels(4, ...)")
    ramp = torch.linspace(0, 1, 4, dtype=F64)
    want = (most ** (1 / root) + ramp * (least ** (1 / root) - most ** (1 / root))) ** root
    require(
        close(got[:-1], want, 1e-5) and got[-1] == 0,
        f"noise_levels(4, {least:.2f}, {most:.2f}, {root:.2f}) is wrong: are numbers written into "
        "the function in place of its arguments?",
    )
    yield "equal steps in sigma**(1/rho)"

    mean, std = (
        float(between(draw, 0.2, 0.6)),
        float(between(draw, 0.2, 0.4)),
    )  # for data N(mean, std²) the perfect denoiser is known
    seen: list[float] = []

    def denoise(x: Tensor, sigma: Tensor | float) -> Tensor:
        seen.append(float(torch.as_tensor(sigma).flatten()[0]))
        return (std**2 * x + seen[-1] ** 2 * mean) / (std**2 + seen[-1] ** 2)

    def run(levels: list[float]) -> Tensor:
        seen.clear()
        out = euler_sample(denoise, start, torch.tensor(levels, dtype=F64))
        require(
            0.0 not in seen,
            "the denoiser was called at sigma = 0, where nothing is left to do and the slope "
            "divides by 0: go through the pairs (levels[i], levels[i + 1]).",
        )
        return tensor(out, (5, 1), "the sample")

    start = high * normal(draw, 5, 1)
    one = run([high, 0.0])
    estimate = (std**2 * start + high**2 * mean) / (std**2 + high**2)
    if not close(one, estimate):
        require(
            not close(one, 2 * start - estimate),
            "the samples run away from the data: the step is sigma_next - sigma, a negative "
            "number.",
        )
        raise Hint(
            "one step from sigma_max to 0 should land on the denoiser's estimate itself: "
            "x + (x - D) / sigma · (0 - sigma) = D."
        )
    yield "one step gives the denoiser's estimate"

    two = run([high, 1.0, 0.0])
    require(
        close(seen[0], high),
        f"the first call of the denoiser was at sigma = {seen[0]:g}, but x has noise {high:g}: "
        "use the level at the start of the step.",
    )
    require(
        len(seen) == 2,
        f"{len(seen)} calls of the denoiser for 2 steps: Euler's method needs one for each step.",
    )
    require(
        close(seen[1], 1.0),
        f"the second call of the denoiser was at sigma = {seen[1]:g}; its x has noise 1.",
    )
    middle = start + (start - estimate) / high * (1.0 - high)
    require(
        close(two, (std**2 * middle + mean) / (std**2 + 1)),
        "the second step went wrong: its slope needs the x, the estimate and the sigma of the "
        "second step, not those of the first.",
    )
    yield "two steps agree with the closed form"

    many = run(torch.cat([torch.linspace(high, 0.01, 500), torch.zeros(1)]).tolist())
    exact = mean + (start - mean) * std / (std**2 + high**2) ** 0.5
    require(
        close(many, exact, 0.02),
        "with 500 steps, noise N(mean, std² + sigma_max²) should become data N(mean, std²).",
    )
    yield "many steps turn the noise into the data's mean and spread"
