"""Exercise 06.4: balls that do not bounce as they came."""

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


@exercise("06.4", "balls that do not bounce as they came")
def inelastic(collide: Answer, *, seed: int = 0) -> Iterator[str]:
    """``collide(v1, v2, m1, m2, n, e) -> (v1, v2)`` after the contact, ``[N, 2]`` each."""
    draw = seeded(seed)
    count = 6
    v1, v2 = normal(draw, count, 2), normal(draw, count, 2)
    m1, m2 = between(draw, 1.0, 3.0, count), between(draw, 4.0, 9.0, count)
    angle = between(draw, 0.0, 6.28, count)
    n = torch.stack([angle.cos(), angle.sin()], dim=-1)
    towards = ((v1 - v2) * n).sum(-1, keepdim=True)
    v1 = v1 + (towards.abs() + 0.5 - towards) * n  # body 1 moves towards body 2 in all of them

    def ask(e: float, v1: Tensor = v1, v2: Tensor = v2) -> tuple[Tensor, Tensor]:
        both = pair(
            collide(v1, v2, m1, m2, n, e), 2, "return two velocities: of body 1, of body 2."
        )
        return tensor(both[0], (count, 2), "v1"), tensor(both[1], (count, 2), "v2")

    along = lambda v: (v * n).sum(-1)  # noqa: E731
    before = along(v1 - v2)
    for e in (1.0, 0.0, 0.5):
        new1, new2 = ask(e)
        old, new = (m1[:, None] * a + m2[:, None] * b for a, b in ((v1, v2), (new1, new2)))
        require(
            not (close(new1, v2) and close(new2, v1)),
            "this swaps the velocities: it holds for equal masses that meet head-on only.",
        )
        if not close(new, old):
            raise Hint(
                "the total momentum m1 v1 + m2 v2 changes: what body 1 loses, body 2 must get, so "
                "each velocity changes by the push divided by the *own* mass."
            )
        side = [(b - a) - along(b - a)[:, None] * n for a, b in ((v1, new1), (v2, new2))]
        require(
            close(side[0], torch.zeros_like(v1)) and close(side[1], torch.zeros_like(v2)),
            "what a body does *across* n should not change: without friction the push is along n.",
        )
        after = along(new1 - new2)
        if not close(after, -e * before):
            require(
                not close(after, before),
                "nothing happens: along n body 1 still moves into body 2.",
            )
            require(
                e == 1.0 or not close(after, -before),
                f"e is left out: with e = {e:g} they should part with e times the speed at which "
                "they met.",
            )
            require(
                not close(after, e * before),
                "the sign is wrong: after the contact they move apart, so (v1 - v2) n is negative.",
            )
            raise Hint(
                f"with e = {e:g} the speed along n at which they part should be {e:g} times that "
                "at which they met."
            )
        if e == 1.0:
            yield "momentum is kept, and only what is along n changes"
    energy = lambda a, b: 0.5 * (m1 * a.square().sum(-1) + m2 * b.square().sum(-1))  # noqa: E731
    lost = energy(v1, v2) - energy(*ask(0.5))
    require((lost > 0).all(), "with e = 0.5 energy should be lost.")
    yield "they part e times as fast as they met"

    apart1, apart2 = ask(0.5, v1 - 2 * before[:, None] * n, v2)
    require(
        close(apart1, v1 - 2 * before[:, None] * n) and close(apart2, v2),
        "bodies that already move apart along n should stay as they are: without this a contact "
        "that is seen twice pulls them together again.",
    )
    mixed = torch.where(torch.arange(count)[:, None] < 3, v1, v1 - 2 * before[:, None] * n)
    one, other = ask(0.5, mixed)
    whole, both = ask(0.5)
    require(
        close(one[:3], whole[:3])
        and close(one[3:], mixed[3:])
        and close(other[:3], both[:3])
        and close(other[3:], v2[3:]),
        "each pair decides for itself whether it moves apart.",
    )
    yield "what moves apart is left alone"
