"""Exercises 04.1 and 04.4: preconditioning, and the training loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor


@exercise("04.1", "EDM's four coefficients")
def preconditioning(coefficients: Callable, *, divisor: float = 4) -> Iterator[str]:
    """``coefficients(sigma, sigma_data, sigma_offset) -> (c_in, c_out, c_skip, c_noise)``.

    ``divisor``: c_noise is the logarithm of the whole noise level, divided by it.
    """
    function(coefficients, "coefficients")
    sigma = torch.tensor([0.002, 0.1, 0.5, 1.7, 20.0], dtype=torch.float64)
    data, offset = 0.5, 0.3
    c_in, c_out, c_skip, c_noise = _four(coefficients(sigma.clone(), data, offset), sigma)
    yield "four coefficients, one value for each sigma"

    total = sigma**2 + offset**2  # the variance of all the noise on a pixel
    variance = c_in**2 * (data**2 + total)
    if not close(variance, 1):
        require(
            not close(c_in**2 * (data**2 + sigma**2), 1),
            "c_in leaves out the offset noise: the network sees it too, so the noise on a pixel "
            "has variance sigma² + sigma_offset².",
        )
        require(
            not close(c_in**2 * (data**2 + (sigma + offset) ** 2), 1),
            "two independent noises add their variances, not their standard deviations: "
            "combine sigma and sigma_offset as the root of the sum of squares.",
        )
        require(
            not close(c_in * (data**2 + total), 1),
            "c_in divides by a variance; divide by a standard deviation (its square root).",
        )
        raise Hint(
            f"c_in · x should have variance 1 at every sigma; at sigma = {sigma[3]:g} it has "
            f"{variance[3]:.3f}. The variance of x is the data's plus the noise's."
        )
    yield "the network's input has variance 1 at every noise level"

    best = data**2 / (data**2 + total)  # minimises the variance of clean - c_skip * x
    if not close(c_skip, best, 1e-5):
        require(
            not close(c_skip, 1 - best),
            "c_skip is upside down: without noise the answer is x itself, so c_skip is near 1 "
            "for small sigma and near 0 for large sigma.",
        )
        require(
            not close(c_skip, data / (data + total.sqrt())),
            "c_skip compares standard deviations; it is a share of variances, so square both.",
        )
        require(
            not close(c_skip, data**2 / (data**2 + total.sqrt())),
            "c_skip adds a variance (sigma_data²) and a standard deviation: sigma is not squared.",
        )
        raise Hint(
            "c_skip · x should be the best linear guess of the clean image: the data's share of "
            f"the variance of x. At sigma = {sigma[3]:g} we get {best[3]:.4f}, you {c_skip[3]:.4f}."
        )
    yield "c_skip · x is the best linear guess of the clean image"

    target = ((1 - c_skip) ** 2 * data**2 + c_skip**2 * total) / c_out**2
    require(
        close(target, 1),
        "c_out should scale the target (clean - c_skip · x) / c_out to variance 1; at sigma = "
        f"{sigma[3]:g} its variance is {target[3]:.3f}. The limits help: c_out is near sigma for "
        "little noise, near sigma_data for much.",
    )
    yield "the network's target has variance 1 at every noise level"

    step = total.log() / 2
    if not close(c_noise, step / divisor, 1e-5):
        require(
            not close(c_noise, sigma.log() / divisor),
            "c_noise still uses the bare sigma: tell the network the whole noise level, "
            "with the offset in it.",
        )
        share = "a quarter" if divisor == 4 else f"1/{divisor:g}"
        raise Hint(f"c_noise is {share} of the natural logarithm of the whole noise level.")
    yield "c_noise is the right share of the log of the noise level"

    *_, c_skip, _ = _four(coefficients(sigma.clone(), 0.2, 0.0), sigma)
    require(
        close(c_skip, 0.04 / (0.04 + sigma**2)),
        "with sigma_data = 0.2 and sigma_offset = 0 the answer is wrong: are 0.5 or 0.3 written "
        "into the function in place of its arguments?",
    )
    yield "other values of sigma_data and sigma_offset work too"


def _four(answer: object, sigma: Tensor) -> list[Tensor]:
    require(
        isinstance(answer, tuple | list) and len(answer) == 4,
        "return the four coefficients in this order: c_in, c_out, c_skip, c_noise.",
    )
    names = ("c_in", "c_out", "c_skip", "c_noise")
    return [tensor(value, sigma.shape, name) for value, name in zip(answer, names, strict=True)]


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
        f"what is fed back is not quantised: a screen has {levels} levels, so the next context "
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
