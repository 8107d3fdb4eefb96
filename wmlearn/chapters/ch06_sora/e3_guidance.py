"""Exercise 06.3: repair the guidance."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, integer, normal, require, seeded, tensor


@exercise("06.3", "repair the guidance")
def guidance(guided: Answer, *, seed: int = 0) -> Iterator[str]:
    """``guided(network, z, t, words, scale) -> x_hat``, by one call of ``network``."""
    draw = seeded(seed)
    shape = 3, 4, 2, 2
    z, t = normal(draw, *shape), torch.rand(3, generator=draw, dtype=torch.float32).double()
    words = torch.randint(1, 9, (3, 5), generator=draw)
    weight = normal(draw, 5)
    calls: list[int] = []
    kinds: list[torch.dtype] = []

    def network(z: Tensor, t: Tensor, words: Tensor) -> Tensor:
        """An estimate that depends on all three, and differently for each sample."""
        calls.append(len(words))
        kinds.append(words.dtype)
        said = (words.to(z) * weight.to(z)).sum(1) + 0.5 * (words == 0).all(1).to(z)
        return z * (1 + t).view(-1, 1, 1, 1).to(z) + said.view(-1, 1, 1, 1)

    with_words, without = network(z, t, words), network(z, t, torch.zeros_like(words))

    def ask(scale: float) -> Tensor:
        calls.clear()
        kinds.clear()
        got = guided(network, z, t, words, scale)
        require(
            not any(kind.is_floating_point or kind.is_complex for kind in kinds),
            "the network got words in floating point, and an embedding cannot look those up: words "
            "must stay int64: `zeros_like(words)` has their type, `torch.zeros` has not.",
        )
        return tensor(got, shape, f"the estimate, scale {scale:g}")

    got = ask(1.0)
    require(
        len(calls) == 1 and calls[0] == 6,
        f"the network was called {len(calls)} times, with {calls} samples: ask it once, with every "
        "sample twice, since one call of twice as many is faster than two.",
    )
    if not close(got, with_words):
        require(
            not close(got, without),
            "at scale 1 this is the estimate *without* words: which half of the batch is which?",
        )
        require(
            not close(got, 2 * with_words - without),
            "at scale 1 the guidance should leave the estimate with words as it is; here it is "
            "already pushed beyond it: start from the estimate without words.",
        )
        mixed = torch.cat([with_words, without]).view(3, 2, 4, 2, 2)
        pushed = mixed[:, 1] + (mixed[:, 0] - mixed[:, 1])
        require(
            not close(got, pushed),
            "the two halves are mixed up: torch.cat puts all samples with words first, then all "
            "without, so split the answer in the middle, not in pairs.",
        )
        raise Hint("scale 1 should give the estimate with words, of each sample its own.")
    yield "scale 1 is the estimate with words, by one call"

    require(
        close(ask(0.0), without),
        "scale 0 should give the estimate of an empty text (all words 0) for the same z and t.",
    )
    yield "scale 0 is the estimate without words"

    scale = 2.0 + 0.5 * integer(draw, 1, 6)
    got, want = ask(scale), without + scale * (with_words - without)
    if not close(got, want):
        require(
            not close(got, without - scale * (with_words - without)),
            "this pushes away from the words: the difference is with words minus without.",
        )
        raise Hint(
            "scale s should go from the estimate without words s times as far as the one with "
            "words lies from it."
        )
    yield f"scale {scale:g} goes beyond the words"
