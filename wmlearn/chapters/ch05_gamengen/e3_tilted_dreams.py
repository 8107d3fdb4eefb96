"""Exercise 05.3: repair a loss whose dreams fill with monsters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from wmlearn.teach.checks import close, exercise, function, require, tensor

F64 = torch.float64


def rare(frames: torch.Tensor) -> torch.Tensor:
    """A stand-in for the weight of rare colors: 10 where a value is above 0.5, else 1."""
    return 1.0 + 9.0 * (frames > 0.5).to(frames.dtype)


@exercise("05.3", "repair a loss whose dreams fill with monsters")
def tilted_dreams(loss: Callable) -> Iterator[str]:
    """``loss(prediction, last, following, rare) -> [B]``: weighted squared errors."""
    function(loss, "loss")
    last = torch.zeros(2, 1, 2, 2, dtype=F64)
    following = torch.zeros(2, 1, 2, 2, dtype=F64)
    following[1] = 1.0  # after the same past: once nothing, once a monster
    guess = torch.full((2, 1, 2, 2), 0.3, dtype=F64, requires_grad=True)
    value = loss(guess, last, following, rare)
    require(value is not None, "loss returned None: is a `return` missing?")
    value = tensor(value, (2,), "loss(...), one number a sample,")
    require((value > 0).all(), "a wrong prediction should cost something.")
    exact = tensor(loss(following, last, following, rare), (2,), "loss of a right prediction")
    require(close(exact, 0), "a right prediction should cost nothing.")
    yield "right costs nothing, wrong costs something"

    mean = torch.full((2, 1, 2, 2), 0.5, dtype=F64, requires_grad=True)
    total = loss(mean, last, following, rare).sum()
    (slope,) = torch.autograd.grad(total, mean)
    slope = slope.sum(0)  # one prediction for both, as the past is the same
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

    seen = torch.zeros(1, 1, 2, 2, dtype=F64)
    seen[..., 0, 0] = 1.0  # a monster in the last frame, at one place
    target = torch.zeros(1, 1, 2, 2, dtype=F64)
    errors = []
    for place in ((0, 0), (1, 1)):
        wrong = torch.zeros(1, 1, 2, 2, dtype=F64)
        wrong[0, 0, place[0], place[1]] = 0.2
        errors.append(float(loss(wrong, seen, target, rare)[0]))
    require(
        errors[0] > 2 * errors[1],
        "an error where the last frame shows a rare color should count more than one elsewhere.",
    )
    require(
        close(errors[0], 10 * errors[1]) and close(errors[1], 0.04 / 4),
        "the loss is the mean over channels and places of weight · error².",
    )
    yield "errors where a monster is seen count more"
