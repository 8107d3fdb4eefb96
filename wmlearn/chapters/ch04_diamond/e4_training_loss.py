"""Exercise 04.4: repair the training loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import close, exercise, function, require, tensor


@exercise("04.4", "repair the training loss")
def training_loss(loss: Callable, *, levels: int = 256) -> Iterator[str]:
    """``loss(model, precondition, frames, actions, sigma, noise, n)``, a scalar.

    ``levels``: how many values a pixel has on the screen that is fed back.
    """
    function(loss, "loss")
    n, batch, length = 2, 3, 5
    generator = torch.Generator().manual_seed(0)
    half = (levels - 1) / 2
    frames = torch.randint(0, levels, (batch, length, 1, 4, 4), generator=generator) / half - 1
    actions = torch.randint(0, 9, (batch, length - 1), generator=generator)
    sigma = torch.tensor([0.3, 0.8, 1.5])
    noise = torch.randn((batch, length - n, 1, 4, 4), generator=generator)
    model = _Spy()
    c_in, c_out, c_skip, c_noise = _edm(sigma)

    def run(frames: Tensor, output: Callable) -> Tensor:
        model.watch(output)
        given = frames.clone()
        value = loss(model, _edm, given, actions.clone(), sigma.clone(), noise.clone(), n)
        require(torch.equal(given, frames), "the loss changed the frames in place: copy first.")
        require(value is not None, "the loss is None: is a `return` missing?")
        require(
            len(model.contexts) == length - n,
            f"{len(model.contexts)} calls of the model for {length - n} frames after the first n.",
        )
        return value

    value = run(frames, model.scaled)
    require(
        all(list(context.shape) == [batch, n, 1, 4, 4] for context in model.contexts),
        f"the model's context should hold n frames, [B, n, C, H, W] = {[batch, n, 1, 4, 4]}.",
    )
    require(
        not close(model.contexts[0][:, -1], frames[:, n]),
        "a future frame leaks: the context of the first call holds the very frame that the model "
        "has to predict. The context is the n frames before it.",
    )
    first = list(model.contexts)
    other = frames.clone()
    other[:, -1] = -other[:, -1]
    run(other, model.scaled)
    require(
        all(map(close, first, model.contexts)) and close(first[0], frames[:, :n]),
        "the context of a call should be the n frames before the target, oldest first, and "
        "never depend on the target or on what comes later.",
    )
    yield "the context holds only the past"

    run(frames, model.scaled)
    require(
        all(torch.equal(seen, actions[:, i : i + n]) for i, seen in enumerate(model.actions)),
        "the actions do not fit the frames: frame i + n follows from actions[:, i : i + n].",
    )
    first_noisy = frames[:, n] + _image(sigma) * noise[:, 0]
    require(
        close(model.noisy[0], c_in * first_noisy) and close(model.c_noise[0], c_noise),
        "the model should get c_in · (clean + sigma · noise), and c_noise.",
    )
    yield "actions and noisy input are right"

    def perfect(noisy: Tensor, call: int) -> Tensor:
        return (frames[:, n + call] - c_skip * (noisy / c_in)) / c_out

    best = tensor(run(frames, perfect), (), "the loss")
    require(
        best.abs() < 1e-6,
        f"a model that knows the clean frame should have loss 0, but has {best:.3g}: the target "
        "is (clean - c_skip · noisy) / c_out, with the clean frame in it.",
    )
    silent = tensor(run(frames, lambda noisy, call: torch.zeros_like(noisy)), (), "the loss")
    targets = [
        (frames[:, n + i] - c_skip * (frames[:, n + i] + _image(sigma) * noise[:, i])) / c_out
        for i in range(length - n)
    ]
    want = torch.stack(targets).square().mean()
    require(
        close(silent, want),
        f"a model that always says 0 should have loss {want:.4f}, but has {silent:.4f}: take the "
        "mean over the frames.",
    )
    yield "the loss is 0 for a perfect model, and right for a silent one"

    value = run(frames, model.scaled)
    fed = model.contexts[1][:, -1]
    estimate = (c_skip * first_noisy + c_out * model.scaled(c_in * first_noisy, 0)).detach()
    require(
        not close(fed, frames[:, n]),
        "the second context holds the true frame; the model should learn from its own estimate, "
        "as it has to when it dreams.",
    )
    require(
        fed.abs().max() <= 1 + 1e-5,
        f"a frame of value {fed.abs().max():.2f} is fed back; frames lie in [-1, 1], so clamp.",
    )
    grid = (fed + 1) * half
    require(
        close(grid, grid.round(), 1e-4),
        f"what is fed back is not quantized: a screen has {levels} levels, so the next context "
        "should have them too, or it looks like no frame of the data.",
    )
    require(
        (fed - estimate.clamp(-1, 1)).abs().max() < 1.01 / half,
        f"what is fed back is not the estimate c_skip · noisy + c_out · output ({levels} levels).",
    )
    require(
        close(model.contexts[1][:, :-1], frames[:, 1:n]),
        "in the second context only the newest frame should come from the model.",
    )
    yield "the estimate, on the screen's levels, is fed back"

    require(
        not any(context.requires_grad for context in model.contexts),
        "the fed-back frame carries a gradient through time: a stop-gradient is missing "
        "(`.detach()`), as the paper's code has one.",
    )
    require(
        getattr(value, "requires_grad", False),
        "the loss has no gradient at all: only what is fed back should be detached.",
    )
    yield "the gradient stops where the estimate is fed back"


class _Spy:
    """A model that records what it is given, and answers as it is told."""

    def __init__(self) -> None:
        self.weight = torch.tensor(1.5, requires_grad=True)

    def scaled(self, noisy: Tensor, call: int) -> Tensor:
        return self.weight * noisy

    def watch(self, output: Callable) -> None:
        self.output = output
        self.noisy, self.c_noise, self.contexts, self.actions = [], [], [], []

    def __call__(self, noisy: Tensor, c_noise: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        call = len(self.noisy)
        self.noisy.append(noisy.detach().clone())
        self.c_noise.append(c_noise)
        self.contexts.append(context.clone())
        self.actions.append(actions.clone())
        return self.output(noisy, call)


def _image(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1)


def _edm(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """EDM's coefficients without offset noise: three for images ``[B, 1, 1, 1]``, one ``[B]``."""
    data = 0.5
    c_in = 1 / (sigma**2 + data**2).sqrt()
    c_skip = data**2 * c_in**2
    return _image(c_in), _image(sigma * data * c_in), _image(c_skip), sigma.log() / 4
