"""Exercise 05.3: repair a loss whose dreams fill with monsters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer, Leaf
from wmlearn.teach.checks import between, close, exercise, require, seeded, tensor


@exercise("05.3", "repair a loss whose dreams fill with monsters")
def tilted_dreams(loss: Answer, *, seed: int = 0) -> Iterator[str]:
    """``loss(prediction, last, following, rare) -> [B]``: weighted squared errors."""
    draw = seeded(seed)
    more = float(between(draw, 5.0, 12.0))
    middle, off = float(between(draw, 0.4, 0.45)), float(between(draw, 0.1, 0.3))

    def rare(frames: Tensor) -> Tensor:
        return 1.0 + more * (frames > 0.48).to(frames.dtype)

    last = torch.zeros(2, 1, 2, 3).double()
    following = torch.zeros(2, 1, 2, 3).double()
    following[1] = 2 * middle  # after the same past: once nothing, once a monster
    guess = torch.full((2, 1, 2, 3), middle).double()
    value = tensor(loss(guess, last, following, rare), (2,), "loss(...), one number a sample,")
    require((value > 0).all(), "a wrong prediction should cost something.")
    exact = tensor(loss(following, last, following, rare), (2,), "loss of a right prediction")
    require(close(exact, 0), "a right prediction should cost nothing.")
    yield "right costs nothing, wrong costs something"

    reply = loss.ask(Leaf(guess), last, following, rare, pull=torch.ones(2).double())
    require(
        reply.gradients[0] is not None,
        "no gradient flows to the prediction: nothing would be learned.",
    )
    slope = reply.gradients[0].double().sum(0)  # one prediction for both, as the past is the same
    require(
        not (slope < -1e-6).all(),
        "two futures follow the same past equally often, but the loss pulls the prediction from "
        "their middle towards the monster: errors weigh more where the *next* frame is rare. "
        "What a weight may look at is what the network sees, the last frame.",
    )
    require(
        close(slope, 0),
        "two futures that are equally likely should be met in the middle: the weight must not "
        "depend on the frame to be predicted, and errors should be squared.",
    )
    yield "what is only possible is not predicted as certain"

    seen, target = torch.zeros(2, 1, 1, 2, 3).double().unbind(0)
    seen[..., 0, 0] = 1.0  # a monster in the last frame, at one place
    errors = []
    for row, column in ((0, 0), (1, 1)):
        wrong = torch.zeros(1, 1, 2, 3).double()
        wrong[0, 0, row, column] = off
        errors.append(float(tensor(loss(wrong, seen, target, rare), (1,), "loss")[0]))
    require(
        errors[0] > 2 * errors[1],
        "an error where the last frame shows a rare color should count more than one elsewhere.",
    )
    require(
        close(errors[0], (1 + more) * errors[1]) and close(errors[1], off**2 / 6, 1e-5),
        "the loss is the mean over channels and places of weight · error².",
    )
    yield "errors where a monster is seen count more"
