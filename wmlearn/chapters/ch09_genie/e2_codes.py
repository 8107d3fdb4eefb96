"""Exercise 09.2: is the codebook alive, and what do its codes mean?."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, integer, require, seeded, tensor

# How often each latent (a row) went with each action. Rows 1 and 2 have the same name, row 5 never
# occurred, and the most frequent action is another one in the test data.
TRAIN = [[2, 1, 0, 0], [0, 4, 1, 0], [0, 3, 0, 1], [0, 0, 4, 3], [4, 0, 0, 6], [0, 0, 0, 0]]
TEST = [[3, 1, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0], [1, 0, 2, 0], [2, 3, 0, 1], [0, 0, 0, 0]]
RIGHT, COUNT = 3 + 2 + 2 + 2 + 1, 21
ONE_EACH = 3 + 2 + 0 + 2 + 1  # if an action may be the name of one latent only


@exercise("09.2", "is the codebook alive, and what do its codes mean?")
def codes_worth(perplexity: Answer, mapped_accuracy: Answer, *, seed: int = 0) -> Iterator[str]:
    """``perplexity(codes, num_codes)``; ``mapped_accuracy(train..., test..., nl, na)``."""
    draw = seeded(seed)
    size = integer(draw, 7, 9)

    def many(codes: Tensor) -> float:
        return float(tensor(perplexity(codes, size), (), "perplexity"))

    even = torch.arange(size).repeat(5)[torch.randperm(5 * size, generator=draw)].view(5, size)
    value = many(even)
    if not close(value, size):
        require(
            not close(value, 1),
            f"{size} codes that are used alike should have perplexity {size}, but have 1, and so "
            "would any: average over all the codes first, then take the entropy of that one "
            "distribution.",
        )
        require(
            not close(value, math.log(size)),
            "this is the entropy; the perplexity is its exponential.",
        )
        require(
            not close(value, math.exp(math.log2(size))),
            "the logarithm has base 2 and the exponential base e: take the same base twice.",
        )
        raise Hint(
            f"{size} codes that are used alike should have perplexity {size}; you give {value}."
        )
    yield "all codes used alike: K"
    require(
        close(many(torch.full((3, 4), integer(draw, 1, size - 1))), 1),
        "a collapsed codebook, where every code is the same, should have perplexity 1. Does "
        "0 · log 0 give NaN in your function? It counts as 0.",
    )
    yield "one code for everything: 1"
    rare = integer(draw, 4, 6)
    skewed = torch.tensor([0] * (100 - 2 * rare) + [1] * rare + [2] * rare)
    small, large = rare / 100, 1 - 2 * rare / 100
    want = math.exp(-large * math.log(large) - 2 * small * math.log(small))
    value = many(skewed)
    require(
        not close(value, 3),
        f"you count the codes that occur: rare ones should count for less. {100 - 2 * rare}, "
        f"{rare} and {rare} of a hundred have perplexity {want:.2f}, not 3.",
    )
    require(
        close(value, want),
        f"shares of {large:.2f}, {small:.2f} and {small:.2f} should give exp of their entropy, "
        f"{want:.3f}; you give {value:.3f}.",
    )
    yield "rare codes count for less"

    train, test = _pairs(TRAIN, draw), _pairs(TEST, draw)

    def share(train: tuple, test: tuple) -> float:
        return float(tensor(mapped_accuracy(*train, *test, 6, 4), (), "the accuracy"))

    value = share(train, test)
    if not close(value, RIGHT / COUNT):
        table = torch.tensor(TEST)
        require(
            not close(value, int(table.max(1).values.sum()) / COUNT),
            "the map was made with the test data: it then flatters itself, most of all where a "
            "latent is rare. Make it from the training data only.",
        )
        seen = torch.tensor(TRAIN)
        require(
            not close(value, float(seen.max(1).values.sum() / seen.sum())),
            "this is the accuracy on the training data: count on the test data.",
        )
        require(
            not close(value, float((test[0] == test[1]).float().mean())),
            "latents are compared with actions directly; but latent 2 need not mean action 2. "
            "First map each latent to the action that goes with it most often.",
        )
        require(
            not close(value, ONE_EACH / COUNT),
            "two latents may mean the same action: each latent is named alone, whatever the others "
            "are called.",
        )
        rates = (seen / seen.sum(0)).argmax(1)
        require(
            not close(value, float(table[torch.arange(6), rates].sum()) / COUNT),
            "the counts are divided by how often each action occurs, so that a rare action wins "
            "where another is more frequent: take the action that goes with the latent most often.",
        )
        backwards = seen.argmax(0)
        require(
            not close(value, sum(TEST[int(backwards[a])][a] for a in range(4)) / COUNT),
            "the map goes from action to latent, so each action belongs to one latent only. We are "
            "given a latent and have to name the action, and several latents may mean the same.",
        )
        raise Hint(
            "map each latent to the action that is most frequent with it in the training data, "
            f"and count how often that is right in the test data: {RIGHT} of {COUNT}; you give "
            f"{value:.3f}."
        )
    yield "each latent means its most frequent action, counted on other data"
    only = [[0] * 4] * 5 + [[0, 3, 0, 1]]
    value = share(train, _pairs(only, draw))
    require(
        not close(value, 3 / 4),
        "a latent that never occurred in training gets the most frequent action of the *test* "
        "data: nothing may be learned there. Take the most frequent one of the training data.",
    )
    require(
        close(value, 1 / 4),
        "a latent that never occurred in training has no action of its own: take the action that "
        "is most frequent of all there.",
    )
    yield "a latent that was never seen gets the most frequent action"
    latents, actions = (torch.randperm(n, generator=draw) for n in (6, 4))
    renamed = [(latents[a], actions[b]) for a, b in (train, _pairs(TEST, draw))]
    require(
        close(share(*renamed), RIGHT / COUNT),
        "other numbers for the same latents and actions, in another order, should change nothing.",
    )
    yield "the latents' numbers do not matter"


def _pairs(counts: list[list[int]], draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latents and actions, in a random order, that occur together so often."""
    table = torch.tensor(counts)
    latents, actions = table.nonzero().T
    times = table[latents, actions]
    latents, actions = latents.repeat_interleave(times), actions.repeat_interleave(times)
    order = torch.randperm(len(latents), generator=draw)
    return latents[order], actions[order]
