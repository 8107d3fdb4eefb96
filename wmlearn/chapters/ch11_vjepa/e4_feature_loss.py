"""Exercise 11.4: repair the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

BATCH, TOKENS, NUMBERS, DIM = 2, 9, 5, 4


@exercise("11.4", "repair the loss")
def feature_loss(loss: Callable, follow: Callable) -> Iterator[str]:
    """``loss(encoder, predictor, target, patches, visible, hidden)``; ``follow(target, encoder,
    momentum)`` changes the target in place."""
    function(loss, "loss")
    function(follow, "follow")
    generator = torch.Generator().manual_seed(0)
    encoder, target = _Encoder(generator), _Encoder(generator)
    patches = torch.randn(BATCH, TOKENS, NUMBERS, generator=generator)
    order = torch.stack([torch.randperm(TOKENS, generator=generator) for _ in range(BATCH)])
    visible, hidden = order[:, :4], order[:, 4:]
    everything = torch.arange(TOKENS).expand(BATCH, -1)
    scale = torch.tensor(0.3, requires_grad=True)
    asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def run(predict: Callable, clip: Tensor = patches) -> Tensor:
        def predictor(features: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
            asked.append((features, visible, hidden))
            return predict(features, hidden)

        asked.clear()
        encoder.seen.clear()
        target.seen.clear()
        encoder.zero_grad()
        target.zero_grad()
        value = loss(encoder, predictor, target, clip.clone(), visible, hidden)
        require(value is not None, "the loss is None: is a `return` missing?")
        require(
            isinstance(value, Tensor) and value.ndim == 0,
            "the loss should be one number, shape [].",
        )
        require(len(asked) == 1, f"the predictor was called {len(asked)} times; once is enough.")
        return value

    def mean_guess(features: Tensor, hidden: Tensor) -> Tensor:
        return scale * features.mean(1, keepdim=True).expand(-1, hidden.shape[1], -1)

    run(mean_guess)
    first = asked[0][0].detach().clone()
    other = patches.clone()
    other.scatter_(1, hidden[..., None].expand(-1, -1, NUMBERS), 9.0)
    run(mean_guess, other)
    require(
        close(first, asked[0][0].detach()),
        "the mask leaks: the predictor's input changes when hidden tubelets change. Give the "
        "encoder only the visible ones, `encoder(patches, visible)`; to cut them out afterwards "
        "is too late, they have been looked at.",
    )
    require(
        first.shape == (BATCH, 4, DIM) and torch.equal(asked[0][1], visible),
        "the predictor should get the features of the visible tubelets, and their numbers.",
    )
    require(
        torch.equal(asked[0][2], hidden),
        "the loss is over the wrong tokens: the predictor should be asked for the hidden "
        "tubelets, since what is visible can be copied.",
    )
    yield "the encoder sees the visible part, the predictor is asked for the hidden one"

    with torch.no_grad():
        raw = _take(target.plain(patches, everything), hidden)
        alone = F.layer_norm(target.plain(patches, hidden), (DIM,))
    goal = F.layer_norm(raw, (DIM,))
    silent = tensor(run(lambda features, hidden: 0 * scale + torch.zeros(BATCH, 5, DIM)), (), "it")
    best = tensor(run(lambda features, hidden: goal + 0 * scale), (), "the loss")
    if best.abs() > 1e-5:
        require(
            tensor(run(lambda f, h: alone + 0 * scale), (), "the loss").abs() > 1e-5,
            "the target network sees the hidden part alone; it should see the whole clip, so that "
            "its features know what is around them.",
        )
        require(
            tensor(run(lambda f, h: raw + 0 * scale), (), "the loss").abs() > 1e-5,
            "the target is not normalized: layer-norm its features over the channels, or they can "
            "shrink to make the task easy.",
        )
        mine = F.layer_norm(encoder.plain(patches, everything), (DIM,)).detach()
        require(
            tensor(run(lambda f, h: _take(mine, hidden)), (), "the loss").abs() > 1e-5,
            "the target comes from the encoder itself; it should come from the target network, "
            "the running average.",
        )
        raise Hint(
            f"a predictor that knows the target's features has loss {best:.3g}; it should be 0: "
            "compare with the layer-normed features of the hidden tubelets, in the same order."
        )
    if not close(silent, goal.abs().mean(), 1e-4):
        require(
            not close(silent, goal.square().mean(), 1e-4),
            "that is a squared error; V-JEPA takes the absolute one (L1).",
        )
        raise Hint(
            f"a predictor that always says 0 should have loss {goal.abs().mean():.4f}, the mean "
            f"over tokens and channels; yours is {silent:.4f}."
        )
    yield "0 for a perfect guess; the mean L1 distance otherwise"

    value = run(mean_guess)
    require(value.requires_grad, "the loss has no gradient at all: only the target should stop it.")
    value.backward()
    require(
        target.weight.grad is None or not target.weight.grad.any(),
        "a stop-gradient is missing: the target network gets a gradient, so both can agree on "
        "features that say nothing. Use `torch.no_grad()` or `.detach()`.",
    )
    require(
        encoder.weight.grad is not None and bool(encoder.weight.grad.any()),
        "the encoder gets no gradient: stop it at the target, not at the encoder's features.",
    )
    yield "the gradient reaches the encoder, and stops at the target"

    old, new = target.weight.detach().clone(), encoder.weight.detach().clone()
    follow(target, encoder, 0.9)
    require(torch.equal(encoder.weight.detach(), new), "follow changed the encoder: only the "
            "target follows.")  # fmt: skip
    got = target.weight.detach()
    require(not torch.equal(got, old), "follow did not change the target: it works in place.")
    require(
        not close(got, 0.1 * old + 0.9 * new, 1e-5),
        "the average is the wrong way round: with momentum 0.9 the target keeps nine tenths of "
        "itself and takes one tenth of the encoder.",
    )
    require(
        close(got, 0.9 * old + 0.1 * new, 1e-5),
        "after follow, target = momentum · target + (1 - momentum) · encoder, for each parameter.",
    )
    yield "the target follows slowly"


class _Encoder(nn.Module):
    """Features that depend on all tubelets that are seen; it records which."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(NUMBERS, DIM, generator=generator))
        self.seen: list[Tensor] = []

    def forward(self, patches: Tensor, index: Tensor) -> Tensor:
        self.seen.append(index)
        return self.plain(patches, index)

    def plain(self, patches: Tensor, index: Tensor) -> Tensor:
        x = _take(patches, index)
        return torch.tanh((x + x.mean(1, keepdim=True)) @ self.weight)


def _take(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))
