"""Exercise 04.4: repair the training loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer, Reply
from wmlearn.teach.checks import between, close, exercise, normal, require, seeded, tensor


@exercise("04.4", "repair the training loss")
def training_loss(loss: Answer, *, levels: int = 256, seed: int = 0) -> Iterator[str]:
    """``loss(model, precondition, frames, actions, sigma, noise, n)``, a scalar.

    ``levels``: how many values a pixel has on the screen that is fed back.
    """
    n, batch, length, draw = 2, 3, 6, seeded(seed)
    half = (levels - 1) / 2
    shape = (batch, length, 1, 4, 4)
    frames = (torch.randint(0, levels, shape, generator=draw) / half - 1).double()
    actions = torch.randint(0, 9, (batch, length - 1), generator=draw)
    sigma = (torch.tensor([0.3, 0.8, 1.5]) * between(draw, 0.8, 1.2, 3)).float().double()
    noise = normal(draw, batch, length - n, 1, 4, 4)
    model = _Spy()
    c_in, c_out, c_skip, c_noise = _edm(sigma)

    def ask(frames: Tensor, output: Callable) -> Reply:
        model.watch(output)
        inputs = (frames, actions, sigma, noise)
        reply = loss.ask(model, _edm, *inputs, n, pull=1.0)
        require(reply.value is not None, "the loss is None: is a `return` missing?")
        require(
            len(model.contexts) == length - n,
            f"{len(model.contexts)} calls of the model for {length - n} frames after the first n.",
        )
        return reply

    def run(frames: Tensor, output: Callable) -> Tensor:
        return tensor(ask(frames, output).value, (), "the loss")

    ask(frames, model.scaled)
    require(
        all(list(context.shape) == [batch, n, 1, 4, 4] for context in model.contexts),
        f"the model's context should hold n frames, [B, n, C, H, W] = {[batch, n, 1, 4, 4]}.",
    )
    require(
        all(context.isfinite().all() for context in model.contexts),
        "the model's context contains NaN or infinity: what is fed back was divided by 0.",
    )
    require(
        not close(model.contexts[0][:, -1], frames[:, n]),
        "a future frame leaks: the context of the first call holds the very frame that the model "
        "has to predict. The context is the n frames before it.",
    )
    first = list(model.contexts)
    other = frames.clone()
    other[:, -1] = -other[:, -1]
    ask(other, model.scaled)
    require(
        all(map(close, first, model.contexts)) and close(first[0], frames[:, :n]),
        "the context of a call should be the n frames before the target, oldest first, and "
        "never depend on the target or on what comes later.",
    )
    yield "the context holds only the past"

    ask(frames, model.scaled)
    require(
        all(torch.equal(seen, actions[:, i : i + n]) for i, seen in enumerate(model.actions)),
        "the actions do not fit the frames: frame i + n follows from actions[:, i : i + n].",
    )
    noisy = [frames[:, n + i] + _image(sigma) * noise[:, i] for i in range(length - n)]
    require(
        all(close(seen, c_in * x, 1e-3) for seen, x in zip(model.noisy, noisy, strict=True))
        and all(close(seen, c_noise) for seen in model.c_noise),
        "the model should get c_in · (clean + sigma · noise), and c_noise.",
    )
    yield "actions and noisy input are right"

    def perfect(noisy: Tensor, call: int) -> Tensor:
        return (frames[:, n + call] - c_skip * (noisy / c_in)) / c_out

    best = run(frames, perfect)
    require(
        best.abs() < 1e-6,
        f"a model that knows the clean frame should have loss 0, but has {best:.3g}: the target "
        "is (clean - c_skip · noisy) / c_out, with the clean frame in it.",
    )
    silent = run(frames, lambda noisy, call: torch.zeros_like(noisy))
    targets = [(frames[:, n + i] - c_skip * x) / c_out for i, x in enumerate(noisy)]
    want = torch.stack(targets).square().mean()
    require(
        close(silent, want),
        f"a model that always says 0 should have loss {want:.4f}, but has {silent:.4f}: take the "
        "mean over the frames.",
    )
    yield "the loss is 0 for a perfect model, and right for a silent one"

    reply = ask(frames, model.scaled)
    for i in range(1, length - n):
        fed = model.contexts[i][:, -1]
        estimate = c_skip * noisy[i - 1] + c_out * 1.5 * c_in * noisy[i - 1]
        require(
            not close(fed, frames[:, n + i - 1]),
            "the second context holds the true frame; the model should learn from its own "
            "estimate, as it has to when it dreams.",
        )
        _judge_levels(fed, half)
        off = (fed - estimate.clamp(-1, 1)).abs().max() * half
        require(
            off < 1.01,
            f"what is fed back is not the estimate c_skip · noisy + c_out · output ({levels} "
            "levels).",
        )
    require(
        close(model.contexts[1][:, :-1], frames[:, 1:n])
        and close(model.contexts[2][:, 0], model.contexts[1][:, -1]),
        "in the second context only the newest frame should come from the model; in the third, "
        "the one before it as well.",
    )
    yield "the estimate, on the screen's levels, is fed back"

    require(
        not any(context.tracked for context in model.contexts),
        "the fed-back frame carries a gradient through time: a stop-gradient is missing "
        "(`.detach()`), as the paper's code has one.",
    )
    require(
        getattr(reply.value, "tracked", False),
        "the loss has no gradient at all: only what is fed back should be detached.",
    )
    got = float(model.weight.grad)
    slopes = [
        2 * ((1.5 * c_in * x - y) * c_in * x).mean() for x, y in zip(noisy, targets, strict=True)
    ]
    want = float(torch.stack(slopes).mean())
    require(
        close(got, want, 1e-3),
        f"the gradient of the loss with respect to a weight of the model is {got:.4f}, but should "
        f"be {want:.4f}: every call of the model counts, and none is detached in the loss itself.",
    )
    yield "the gradient stops where the estimate is fed back"


def _judge_levels(fed: Tensor, half: float) -> None:
    """Whether a fed-back frame holds values of the screen: k / half - 1."""

    def whole(x: Tensor) -> bool:
        return close(x, x.round(), 1e-4)

    largest, ours = fed.abs().max(), whole((fed + 1) * half)
    require(
        largest <= 1 + 1e-5 or not ours and largest <= 1 + 1.01 / half,
        f"a frame of value {largest:.2f} is fed back; frames lie in [-1, 1], so clamp.",
    )
    others = [fed * half, *((fed + 1) * (half + shift) for shift in (-0.5, 0.5))]
    require(
        ours or not any(map(whole, others)),
        f"what is fed back is rounded, but not on the levels k/{half:g} - 1: first shift [-1, 1] "
        f"to [0, {2 * half:g}], round there, and go back the same way.",
    )
    require(
        ours,
        f"what is fed back is not quantized: a screen has {2 * half + 1:g} levels, so the next "
        "context should have them too, or it looks like no frame of the data.",
    )


class _Spy:
    """A model that records what it is given, and answers as it is told."""

    def scaled(self, noisy: Tensor, call: int) -> Tensor:
        return self.weight * noisy

    def watch(self, output: Callable) -> None:
        self.weight = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        self.output = output
        self.noisy, self.c_noise, self.contexts, self.actions = [], [], [], []

    def __call__(self, noisy: Tensor, c_noise: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        call = len(self.noisy)
        self.noisy.append(noisy.detach())
        self.c_noise.append(c_noise)
        self.contexts.append(context)
        self.actions.append(actions)
        return self.output(noisy, call)


def _image(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1)


def _edm(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """EDM's coefficients without offset noise: three for images ``[B, 1, 1, 1]``, one ``[B]``."""
    data = 0.5
    c_in = 1 / (sigma**2 + data**2).sqrt()
    c_skip = data**2 * c_in**2
    return _image(c_in), _image(sigma * data * c_in), _image(c_skip), sigma.log() / 4
