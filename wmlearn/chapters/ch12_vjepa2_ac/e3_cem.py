"""Exercise 12.3: the cross-entropy method."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, pair, require, seeded, tensor

F64 = torch.float64


@exercise("12.3", "the cross-entropy method")
def cross_entropy_method(cem: Answer, *, seed: int = 0) -> Iterator[str]:
    """``cem(energy, mean, std, samples, elites, iterations, least, generator)`` -> mean, std."""
    draw = seeded(seed)
    best = between(draw, -0.6, 0.6, 3, 2)
    bowl = lambda plans, turn: (plans - best).square().sum((1, 2))  # noqa: E731
    search = _Search(cem, best, 1000 * seed)

    mean, std = search.run(bowl, 50, 5, 1)
    require(
        len(search.asked) == 1 and len(search.asked[0]) == 50,
        "one round should ask for the energy once, of all samples together; it was asked "
        f"{len(search.asked)} times.",
    )
    plans = search.asked[0]
    require(
        plans.abs().max() <= 1,
        f"an action of {plans.abs().max():.2f} was tried; the arm takes actions from -1 to 1, so "
        "clamp what is drawn.",
    )
    require(
        not close(plans[0], plans[1]),
        "all plans of a round are the same: draw noise of shape [samples, H, A].",
    )
    require(
        not close(plans[:, 0], plans[:, 1]) and not close(plans[:, :, 0], plans[:, :, 1]),
        "all steps or all numbers of a plan get the same noise: draw for each of them alone.",
    )
    search.run(bowl, 800, 5, 1, std=torch.full((3, 2), 0.15, dtype=F64))
    drawn = search.asked[0] - search.asked[0].mean()
    require(
        drawn.pow(4).mean() > 2.4 * drawn.square().mean().square(),  # 3 if normal, 1.8 if uniform
        "the noise is not *normal*: in a uniform draw (`torch.rand`) no number lies far out. Take "
        "`torch.randn`.",
    )
    spread = plans.std(0).mean()
    require(
        0.35 < spread < 0.75 and plans.mean().abs() < 0.2,
        f"the plans are drawn with a spread of {spread:.2f} around {plans.mean():.2f}; it should "
        "be std · noise around the mean.",
    )
    require(
        (plans.abs() == 1).any(),
        "no plan lies on the edge of the box though many draws leave it: *clamp* them to -1 and 1, "
        "without scaling the others.",
    )
    at, wide = between(draw, -0.4, 0.4, 3, 2), between(draw, 0.05, 0.2, 3, 2)
    search.run(bowl, 800, 5, 1, mean=at, std=wide)
    drawn = search.asked[0]
    require(
        ((drawn.mean(0) - at).abs() < 0.25 * wide).all(),
        "the plans are not drawn around the mean that was given, each step and each number around "
        "its own.",
    )
    require(
        ((drawn.std(0) / wide - 1).abs() < 0.2).all(),
        "the plans are not drawn with the spread that was given, each step and each number with "
        "its own: mean + std · noise.",
    )
    yield "a round draws plans around the mean, inside the box"

    order = bowl(plans, 0).argsort()
    elite, worst = plans[order[:5]], plans[order[-5:]]
    if not close(mean, elite.mean(0)):
        require(
            not close(mean, worst.mean(0)),
            "the elites are the plans with the *largest* energy: topk needs largest=False.",
        )
        require(
            not close(mean, plans.mean(0)),
            "the new mean is that of all samples; only the elites count, or nothing is learned.",
        )
        require(
            not close(mean, plans[order[0]]),
            "the new mean is the single best plan; average over all elites, since one plan may be "
            "luck.",
        )
        raise Hint("the new mean should be the mean of the elites, for each step and action.")
    yield "the mean moves to the elites"

    if not close(std, elite.std(0, correction=0)):
        require(
            not close(std, torch.full((3, 2), 0.7, dtype=F64)),
            "the spread stays as it was; set it to the elites' own, so that the search narrows.",
        )
        require(
            not close(std, plans.std(0, correction=0)) and not close(std, plans.std(0)),
            "the new spread is that of all samples; take the elites', or the search never narrows.",
        )
        require(
            not close(std, elite.std(0)),
            "the spread divides by elites - 1: with one elite that is 0 / 0. Take correction=0.",
        )
        require(
            not close(std, elite.var(0, correction=0).clamp(min=1e-3)),
            "the new spread is a variance; take its root, the standard deviation.",
        )
        raise Hint("the new spread should be the elites' standard deviation (correction=0).")
    yield "the spread becomes the elites'"

    _, std = search.run(bowl, 20, 1, 3, least=0.05)
    require(
        std.min() > 0.05 - 1e-6,
        f"the spread falls to {std.min():.3g} though it shall stay at least 0.05: clamp it, or the "
        "search stands still for good.",
    )
    require(
        search.asked[1].std(0).max() > 0.02,
        "the spread is clamped at the end alone: with one elite it is 0 after a round, so all "
        "plans of the next are the same. Clamp it in every round.",
    )
    require(close(std, 0.05, 1e-6), "with one elite the spread should be exactly `least`.")
    yield "the spread never falls below `least`"

    mean, _ = search.run(bowl, 200, 20, 12)
    require(
        len(search.asked) == 12,
        f"12 rounds should ask for the energy 12 times, not {len(search.asked)}.",
    )
    counts = {len(plans) for plans in search.asked}
    require(
        counts == {200},
        f"every round draws 200 plans; yours were asked about {sorted(counts)} at once.",
    )
    search.judge_rounds(20)
    require(
        close(mean, best, 0.02),
        "after 12 rounds on a quadratic bowl the mean should be at its minimum; yours is off by "
        f"{(mean - best).abs().max():.2f}. Does each round begin with the last one's result?",
    )
    yield "twelve rounds find the minimum of a bowl"

    rising = lambda plans, turn: bowl(plans, 0) + 5 * turn  # noqa: E731
    mean, std = search.run(rising, 40, 4, 3)
    last = search.asked[-1]
    elite = last[bowl(last, 0).argsort()[:4]]
    require(
        close(mean, elite.mean(0)) and close(std, elite.std(0, correction=0).clamp(min=1e-3)),
        "the result should be that of the *last* round, even where the energies of an earlier one "
        "were lower: they are only compared within a round.",
    )
    again, _ = search.run(rising, 40, 4, 3)
    other, _ = search.run(rising, 40, 4, 3, shift=1)
    require(
        close(mean, again) and not close(mean, other),
        "the generator does not decide alone: the same seed should give the same plan, and another "
        "seed another one.",
    )
    yield "the last round counts, and the generator alone decides"


class _Search:
    """Runs the answer and remembers which plans it asked about."""

    def __init__(self, cem: Answer, best: Tensor, seed: int) -> None:
        self.cem, self.best, self.seed = cem, best, seed
        self.asked: list[Tensor] = []

    def run(
        self,
        energy: Callable[[Tensor, int], Tensor],
        samples: int,
        elites: int,
        iterations: int,
        least: float = 1e-3,
        mean: Tensor | None = None,
        std: Tensor | None = None,
        shift: int = 0,
    ) -> tuple[Tensor, Tensor]:
        self.asked.clear()
        self.start = (
            torch.zeros(3, 2, dtype=F64) if mean is None else mean,
            torch.full((3, 2), 0.7, dtype=F64) if std is None else std,
        )

        def counted(plans: Tensor) -> Tensor:
            require(
                isinstance(plans, Tensor) and plans.ndim == 3 and plans.shape[1:] == (3, 2),
                "energy() is asked about many plans at once: a tensor [samples, H, A].",
            )
            self.asked.append(plans.detach())
            return energy(plans, len(self.asked))

        generator = seeded(self.seed + shift)
        answer = self.cem(counted, *self.start, samples, elites, iterations, least, generator)
        hint = "return two tensors: the mean of the plans, and their standard deviation."
        answer = pair(answer, 2, hint)
        return tensor(answer[0], (3, 2), "the mean"), tensor(answer[1], (3, 2), "the std")

    def judge_rounds(self, elites: int) -> None:
        """Each round draws anew, around what the last one found."""
        mean, std = self.start
        noises: list[Tensor] = []
        for number, plans in enumerate(self.asked[:4]):
            noise = (plans - mean) / std
            noise[plans.abs() == 1] = torch.nan  # clamped
            require(
                0.6 < noise[~noise.isnan()].std() < 1.4  # 0.72 where a normal draw is cut
                and noise[~noise.isnan()].mean().abs() < 0.25,
                f"round {number + 1} does not draw around the mean that round {number} found, with "
                "its spread. Does each round begin with the last one's result?",
            )
            for earlier in noises:
                both = ~(noise.isnan() | earlier.isnan())
                require(
                    not close(noise[both], earlier[both], 1e-2),
                    f"round {number + 1} uses the noise of an earlier round again: draw anew in "
                    "each round.",
                )
            noises.append(noise)
            order = (plans - self.best).square().sum((1, 2)).argsort()
            elite = plans[order[:elites]]
            mean, std = elite.mean(0), elite.std(0, correction=0).clamp(min=1e-3)
