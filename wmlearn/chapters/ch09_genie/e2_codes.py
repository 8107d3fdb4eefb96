"""Exercise 09.2: is the codebook alive, and what do its codes mean?."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor


@exercise("09.2", "is the codebook alive, and what do its codes mean?")
def codes_worth(perplexity: Callable, mapped_accuracy: Callable) -> Iterator[str]:
    """``perplexity(codes, num_codes)``; ``mapped_accuracy(train..., test..., nl, na)``."""
    function(perplexity, "perplexity")
    function(mapped_accuracy, "mapped_accuracy")
    even = torch.arange(8).repeat(5).view(4, 10)

    def many(codes: Tensor, num_codes: int = 8) -> float:
        return float(tensor(perplexity(codes, num_codes), (), "perplexity"))

    if not close(many(even), 8):
        require(
            not close(many(even), 1),
            "8 codes that are used alike should have perplexity 8, but have 1, and so would any: "
            "average over all the codes first, then take the entropy of that one distribution.",
        )
        require(
            not close(many(even), math.log(8)),
            "this is the entropy; the perplexity is its exponential.",
        )
        require(
            not close(many(even), math.exp(3)),
            "the logarithm has base 2 and the exponential base e: take the same base twice.",
        )
        raise Hint(f"8 codes that are used alike should have perplexity 8; you give {many(even)}.")
    yield "all codes used alike: K"
    require(
        close(many(torch.full((3, 4), 5)), 1),
        "a collapsed codebook, where every code is the same, should have perplexity 1. Does "
        "0 · log 0 give NaN in your function? It counts as 0.",
    )
    yield "one code for everything: 1"
    skewed = torch.tensor([0] * 90 + [1] * 5 + [2] * 5)
    want = math.exp(-0.9 * math.log(0.9) - 0.1 * math.log(0.05))
    require(
        not close(many(skewed), 3),
        "you count the codes that occur: rare ones should count for less. Ninety, five and five "
        f"of a hundred have perplexity {want:.2f}, not 3.",
    )
    require(
        close(many(skewed), want),
        f"shares of 0.9, 0.05 and 0.05 should give exp of their entropy, {want:.3f}; you give "
        f"{many(skewed):.3f}.",
    )
    yield "rare codes count for less"

    train_latents = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 2])
    train_actions = torch.tensor([2, 2, 1, 0, 0, 2, 2, 2, 2, 1, 1, 2, 2])
    test_latents = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3])
    test_actions = torch.tensor([2, 1, 1, 0, 2, 2, 1, 1])

    def share(*data: Tensor, sizes: tuple[int, int] = (5, 3)) -> float:
        given = [part.clone() for part in data]
        return float(tensor(mapped_accuracy(*given, *sizes), (), "the accuracy"))

    data = (train_latents, train_actions, test_latents, test_actions)
    value = share(*data)
    if not close(value, 5 / 8):
        require(
            not close(value, 6 / 8),
            "the map was made with the test data: it then flatters itself, most of all where a "
            "latent is rare. Make it from the training data only.",
        )
        require(
            not close(value, 10 / 13),
            "this is the accuracy on the training data: count on the test data.",
        )
        require(
            not close(value, float((test_latents == test_actions).float().mean())),
            "latents are compared with actions directly; but latent 2 need not mean action 2. "
            "First map each latent to the action that goes with it most often.",
        )
        backwards = _backwards(train_latents, train_actions)
        require(
            not close(value, float((backwards[test_actions] == test_latents).float().mean())),
            "the map goes from action to latent. We are given a latent and have to name the "
            "action, and several latents may mean the same one.",
        )
        raise Hint(
            "map each latent to the action that is most frequent with it in the training data, "
            f"and count how often that is right in the test data: 5 of 8; you give {value:.3f}."
        )
    yield "each latent means its most frequent action, counted on other data"
    unseen = share(train_latents, train_actions, torch.tensor([4, 4]), torch.tensor([2, 2]))
    require(
        close(unseen, 1.0),
        "a latent that never occurred in training has no action of its own: take the action that "
        "is most frequent of all there.",
    )
    yield "a latent that was never seen gets the most frequent action"
    swap = torch.tensor([4, 2, 0, 1, 3])
    require(
        close(share(swap[data[0]], data[1], swap[data[2]], data[3]), 5 / 8),
        "other numbers for the same latents should change nothing.",
    )
    yield "the latents' numbers do not matter"


def _backwards(latents: Tensor, actions: Tensor) -> Tensor:
    """For each action the latent that goes with it most often."""
    table = torch.zeros(3, 5).index_put_((actions, latents), torch.tensor(1.0), accumulate=True)
    return table.argmax(dim=1)
