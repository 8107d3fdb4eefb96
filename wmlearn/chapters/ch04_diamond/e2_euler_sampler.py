"""Exercise 04.2: the noise schedule and an Euler sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

F64 = torch.float64


@exercise("04.2", "the noise schedule and an Euler sampler")
def euler_sampler(
    noise_levels: Callable, euler_sample: Callable, *, rho: float = 7.0, high: float = 5.0
) -> Iterator[str]:
    """``noise_levels(num_steps, low, high, rho)``; ``euler_sample(denoise, x, levels)``.

    ``rho`` and ``high`` are the defaults that this course asks for.
    """
    function(noise_levels, "noise_levels")
    function(euler_sample, "euler_sample")
    low = 2e-3
    raw = noise_levels(6, low, high, rho)
    require(raw is not None, "noise_levels returned None: is a `return` missing?")
    require(
        list(torch.as_tensor(raw).shape) != [6],
        "the schedule has no final 0: after num_steps noise levels comes one more, sigma = 0, "
        "or the last noise is never taken away.",
    )
    levels = tensor(raw, (7,), "noise_levels(6, ...)")
    require(
        levels[0] > levels[1],
        "the schedule should fall from sigma_max to 0: sampling starts with the most noise.",
    )
    require(
        close(levels[0], high) and close(levels[5], low, 1e-6) and levels[6] == 0,
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
        close(tensor(noise_levels(6), (7,), "noise_levels(6)"), levels, 1e-5),
        f"called with the number of steps alone, the schedule has sigma_max = {high:g} and "
        f"rho = {rho:g}: these are the defaults of this exercise.",
    )
    yield "equal steps in sigma**(1/rho)"

    mean, std = 0.4, 0.25  # for data N(mean, std²) the perfect denoiser is known
    seen: list[float] = []

    def denoise(x: Tensor, sigma: Tensor | float) -> Tensor:
        seen.append(float(torch.as_tensor(sigma).flatten()[0]))
        return (std**2 * x + seen[-1] ** 2 * mean) / (std**2 + seen[-1] ** 2)

    def run(levels: list[float]) -> Tensor:
        seen.clear()
        kept = start.clone()
        out = euler_sample(denoise, kept, torch.tensor(levels, dtype=F64))
        require(
            torch.equal(kept, start),
            "the sampler changed the noise it was given (`x += ...` works in place): write "
            "`x = x + ...`.",
        )
        require(
            0.0 not in seen,
            "the denoiser was called at sigma = 0, where nothing is left to do and the slope "
            "divides by 0: go through the pairs (levels[i], levels[i + 1]).",
        )
        return tensor(out, (5, 1), "the sample")

    start = torch.tensor([[-9.0], [-2.0], [0.1], [3.0], [8.0]], dtype=F64)
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
        seen[0] == high,
        f"the first call of the denoiser was at sigma = {seen[0]:g}, but x has noise {high:g}: "
        "use the level at the start of the step.",
    )
    require(
        len(seen) == 2,
        f"{len(seen)} calls of the denoiser for 2 steps: Euler's method needs one for each step.",
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
