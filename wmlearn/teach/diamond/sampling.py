"""Exercises 04.2 and 04.5: the sampler, and what few steps lose."""

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


@exercise("04.5", "two futures, few steps")
def two_futures(experiment: Callable, *, edge: float = 0.5) -> Iterator[str]:
    """``experiment(dream, ps, steps, samples) -> (between, rare)``: ``[len(ps), len(steps)]``.

    ``edge``: a sample with ``|x| < edge`` is between the futures.
    """
    function(experiment, "experiment")
    ps, steps, samples = [0.5, 0.8, 1.0], [1, 2, 5, 20], 4000
    calls: list[tuple] = []

    def dream(p: float, num_steps: int, samples: int) -> Tensor:
        calls.append((round(float(p), 6), int(num_steps), int(samples)))
        return _dream(p, num_steps, samples)

    answer = experiment(dream, list(ps), list(steps), samples)
    require(
        isinstance(answer, tuple | list) and len(answer) == 2,
        "return two tables: the share of samples between the futures, and of the rare future.",
    )
    shape = (len(ps), len(steps))
    between = tensor(answer[0], shape, "between")
    rare = tensor(answer[1], shape, "rare")
    yield "two tables, a row for each p, a column for each number of steps"

    wanted = [(p, n, samples) for p in ps for n in steps]
    require(
        {n for _, n, _ in calls} == set(steps),
        f"dream was called with {sorted({n for _, n, _ in calls})} steps; asked were {steps}.",
    )
    require(
        {p for p, _, _ in calls} == set(ps),
        f"dream was called with p in {sorted({p for p, _, _ in calls})}; asked were {ps}.",
    )
    require(
        set(wanted) == set(calls),
        f"dream should be called for every pair of p and steps, each time with all {samples} "
        "samples.",
    )
    yield "every pair of p and steps was tried"

    for name, table in (("between", between), ("rare", rare)):
        require(
            (table >= 0).all() and (table <= 1).all(),
            f"{name} should hold shares from 0 to 1; it goes from {table.min():g} to "
            f"{table.max():g}.",
        )
    require(
        not close(between[0], 1 - _shares(ps, steps, samples, edge)[0][0], 0.03),
        "between seems to count the samples that did reach a future: count the others, "
        f"|x| < {edge}.",
    )
    require(
        between[0, 0] > 0.9,
        f"with p = 0.5 and one step you find {between[0, 0]:.2f} of the samples between the "
        "futures. Expect nearly all: one step lands near the mean, 0.",
    )
    require(
        not ((between == 0) | (between == 1)).all(),
        "between is 0 or 1 everywhere, so no share was counted: ask of each sample whether it is "
        "near a future, and only then take the mean.",
    )
    require(
        between[0, -1] < 0.1,
        f"with p = 0.5 and 20 steps you find {between[0, -1]:.2f} of the samples between the "
        f"futures; expect nearly none. Between means far from BOTH -1 and +1: |x| < {edge}.",
    )
    yield "one step blurs an open future, 20 steps do not"

    require(
        between[-1].max() < 0.02,
        "with p = 1 the future is certain, and one step finds it: the last row of between is 0.",
    )
    require(
        rare[-1].max() < 0.02,
        f"with p = 1 the future -1 never happens, but {rare[-1].max():.2f} of the samples count "
        f"as it: the rare future is x < -{edge}.",
    )
    yield "a certain future needs one step only"

    exact = _shares(ps, steps, samples, edge)
    require(
        close(between, exact[0], 0.03),
        f"between is not the share of samples with |x| < {edge} in some place of the table.",
    )
    require(
        close(rare, exact[1], 0.03),
        f"rare should be the share of samples with x < -{edge}: for p = 0.8 about "
        f"{', '.join(f'{x:.2f}' for x in exact[1][1])} with {steps} steps; yours "
        f"{', '.join(f'{x:.2f}' for x in rare[1])}.",
    )
    yield "two steps lose the rare future, 20 steps bring it back"


def _dream(p: float, num_steps: int, samples: int) -> Tensor:
    """Euler samples of data that is +1 with probability p, else -1, by the perfect denoiser."""
    ramp = torch.linspace(0, 1, num_steps, dtype=F64)
    low, high = 2e-3 ** (1 / 7), 5.0 ** (1 / 7)
    levels = [*((high + ramp * (low - high)) ** 7).tolist(), 0.0]
    x = high**7 * torch.randn(samples, generator=torch.Generator().manual_seed(1), dtype=F64)
    prior = torch.logit(torch.tensor(float(p), dtype=F64)) / 2
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        estimate = torch.tanh(x / sigma**2 + prior)
        x = x + (x - estimate) / sigma * (sigma_next - sigma)
    return x


def _shares(ps: list[float], steps: list[int], samples: int, edge: float) -> tuple[Tensor, Tensor]:
    table = torch.stack([torch.stack([_dream(p, n, samples) for n in steps]) for p in ps])
    return (table.abs() < edge).double().mean(-1), (table < -edge).double().mean(-1)
