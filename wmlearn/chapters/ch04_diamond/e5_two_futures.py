"""Exercise 04.5: two futures, few steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import between as uniform
from wmlearn.teach.checks import close, exercise, integer, pair, require, seeded, tensor

F64 = torch.float64
_TWO = "return two tables: the share of samples between the futures, and of the rare future."


@exercise("04.5", "two futures, few steps")
def two_futures(experiment: Answer, *, edge: float = 0.5, seed: int = 0) -> Iterator[str]:
    """``experiment(dream, ps, steps, samples) -> (between, rare)``: ``[len(ps), len(steps)]``.

    ``edge``: a sample with ``|x| < edge`` is between the futures.
    """
    draw = seeded(seed)
    ps, steps = [0.5, 0.8, 1.0], [1, 2, 5, integer(draw, 18, 24)]
    samples = integer(draw, 2500, 3500)
    calls: list[tuple] = []

    def dream(p: float, num_steps: int, samples: int) -> Tensor:
        calls.append((round(float(p), 6), int(num_steps), int(samples)))
        return _dream(p, num_steps, samples, seed)

    answer = _two(experiment(dream, ps, steps, samples))
    shape = (len(ps), len(steps))
    between = tensor(answer[0], shape, "between")
    rare = tensor(answer[1], shape, "rare")
    yield "two tables, a row for each p, a column for each number of steps"

    require(
        {n for _, n, _ in calls} == set(steps),
        f"dream was called with {sorted({n for _, n, _ in calls})} steps; asked were {steps}.",
    )
    require(
        {p for p, _, _ in calls} == set(ps),
        f"dream was called with p in {sorted({p for p, _, _ in calls})}; asked were {ps}.",
    )
    require(
        {(p, n, samples) for p in ps for n in steps} == set(calls),
        f"dream should be called for every pair of p and steps, each time with all {samples} "
        "samples, the number that experiment was asked for.",
    )
    yield "every pair of p and steps was tried"

    for name, table in (("between", between), ("rare", rare)):
        require(
            (table >= 0).all() and (table <= 1).all(),
            f"{name} should hold shares from 0 to 1; it goes from {table.min():g} to "
            f"{table.max():g}.",
        )
    x = torch.stack([torch.stack([_dream(p, n, samples, seed) for n in steps]) for p in ps])
    exact = (x.abs() < edge).double().mean(-1), (x < -edge).double().mean(-1)
    require(
        not (close(between, exact[1], 0.03) and close(rare, exact[0], 0.03)),
        "the two tables are exchanged: return between first, then rare.",
    )
    require(
        close(between, exact[0], 0.03)
        or not any(close(between, (y.abs() < 1).double().mean(-1), 0.01) for y in (x, x.float())),
        "between counts every sample with |x| < 1, those close to a future too: a sample is "
        f"between if it is nearer to the middle than to both, |x| < {edge}.",
    )
    require(
        close(rare, exact[1], 0.03) or not close(rare, (x < 0).double().mean(-1), 0.01),
        "rare counts every sample left of the middle, x < 0, the blurred ones too: a sample is "
        f"near the future -1 if x < -{edge}.",
    )
    require(
        not close(between[0], 1 - exact[0][0], 0.03),
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
        f"with p = 0.5 and {steps[-1]} steps you find {between[0, -1]:.2f} of the samples between "
        f"the futures; expect nearly none. Between means far from BOTH -1 and +1: |x| < {edge}.",
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

    require(
        close(between, exact[0], 0.03),
        f"between is not the share of samples with |x| < {edge} in some place of the table.",
    )
    row = int((rare - exact[1]).abs().amax(1).argmax())
    require(
        close(rare, exact[1], 0.03),
        f"rare should be the share of samples with x < -{edge}: for p = {ps[row]} about "
        f"{', '.join(f'{x:.2f}' for x in exact[1][row])} with {steps} steps; yours "
        f"{', '.join(f'{x:.2f}' for x in rare[row])}.",
    )
    yield "two steps lose the rare future, 20 steps bring it back"

    # A dream of samples that lie evenly from -p to p, and one of samples right at the edge.
    count = 400 + 2 * integer(draw, 0, 50)
    wide = [round(float(uniform(draw, edge + 0.1, edge + 0.3)), 3), 1.5]
    answer = _two(experiment(lambda p, n, k: _even(p, k), wide, [1, 3], count))
    want = torch.stack([_even(p, count) for p in wide])
    counted = (want.abs() < edge).double().mean(-1), (want < -edge).double().mean(-1)
    for name, mine, theirs in zip(("between", "rare"), answer, counted, strict=True):
        require(
            close(tensor(mine, (2, 2), name), theirs[:, None].expand(2, 2), 1e-4),
            f"on samples that lie evenly from -1.5 to 1.5 {name} is off, so the edge is not where "
            f"it should be: |x| < {edge} is between, x < -{edge} is rare.",
        )
    if edge == 0.5:  # a number that every precision holds exactly
        at_edge = torch.tensor([-0.5, -0.5, -0.5, 0.5, 0.5, 0.0, -1.0, 1.0])
        answer = _two(experiment(lambda p, n, k: at_edge, [0.5], [1], 8))
        require(
            close(tensor(answer[0], (1, 1), "between"), 1 / 8)
            and close(tensor(answer[1], (1, 1), "rare"), 1 / 8),
            "a sample exactly at -0.5 or 0.5 is neither between nor rare: both ask for *less*.",
        )
    yield "the edge is where it was asked for"


def _two(answer: object) -> tuple:
    """Both tables; they may come in one tensor, stacked."""
    stacked = torch.is_tensor(answer) and answer.ndim == 3
    return pair(tuple(answer) if stacked else answer, 2, _TWO)


def _even(p: float, samples: int) -> Tensor:
    return torch.linspace(-p, p, samples)


def _dream(p: float, num_steps: int, samples: int, seed: int) -> Tensor:
    """Euler samples of data that is +1 with probability p, else -1, by the perfect denoiser."""
    ramp = torch.linspace(0, 1, num_steps, dtype=F64)
    low, high = 2e-3 ** (1 / 7), 5.0 ** (1 / 7)
    levels = [*((high + ramp * (low - high)) ** 7).tolist(), 0.0]
    x = high**7 * torch.randn(samples, generator=seeded(seed + 1), dtype=F64)
    prior = torch.logit(torch.tensor(float(p), dtype=F64)) / 2
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        estimate = torch.tanh(x / sigma**2 + prior)
        x = x + (x - estimate) / sigma * (sigma_next - sigma)
    return x
