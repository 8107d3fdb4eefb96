"""Exercises 09.3 and 09.4: the dynamics' loss, and attention over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

F64 = torch.float64


@exercise("09.3", "repair the masked loss")
def masked_loss(loss: Callable) -> Iterator[str]:
    """``loss(model, tokens, actions, rate, uniform, mask_token)``, a scalar."""
    function(loss, "loss")
    batch, time, space, vocabulary = 3, 4, 6, 5
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, vocabulary, (batch, time, space), generator=generator)
    actions = torch.randint(0, 8, (batch, time - 1), generator=generator)
    rate = torch.tensor([0.3, 0.6, 0.9])
    uniform = torch.rand((batch, time, space), generator=generator)
    mask = uniform < rate[:, None, None]
    mask[:, 0] = False
    some = torch.randn((batch, time, space, vocabulary + 1), generator=generator, dtype=F64)
    seen: list[tuple[Tensor, Tensor]] = []

    def run(logits: Tensor) -> Tensor:
        seen.clear()

        def model(hidden: Tensor, pressed: Tensor) -> Tensor:
            seen.append((hidden.clone(), pressed.clone()))
            return logits

        given = tokens.clone()
        value = loss(model, given, actions.clone(), rate.clone(), uniform.clone(), vocabulary)
        require(value is not None, "the loss is None: is a `return` missing?")
        require(len(seen) == 1, f"the model was called {len(seen)} times; once is enough.")
        require(
            torch.equal(given, tokens),
            "the function writes the mask into the true tokens it was given: make a new tensor, "
            "for instance with torch.where.",
        )
        return value

    value = run(some.clone().requires_grad_())
    hidden, pressed = seen[0]
    require(
        hidden.shape == tokens.shape and torch.equal(pressed, actions),
        "the model gets the tokens with the mask in them, [B, T, S], and the actions as they are.",
    )
    require(
        torch.equal(hidden[:, 0], tokens[:, 0]),
        "the first frame is masked: at play it is the picture that you start from, and nothing "
        "before it could tell what it shows. Leave it whole.",
    )
    if not torch.equal(hidden[:, 1:] == vocabulary, mask[:, 1:]):
        require(
            not torch.equal(hidden[:, 1:] == vocabulary, ~mask[:, 1:]),
            "the mask is upside down: a token is hidden where uniform is below the rate.",
        )
        alike = uniform < rate.mean()
        require(
            not torch.equal(hidden[:, 1:] == vocabulary, alike[:, 1:]),
            "each clip has a rate of its own: rate[b] belongs to uniform[b].",
        )
        raise Hint("hide tokens[b, t, s] where uniform[b, t, s] < rate[b], in all frames but one.")
    require(
        torch.equal(hidden[~mask], tokens[~mask]),
        "a token that is not hidden reached the model changed.",
    )
    yield "the right tokens are hidden, and none of the first frame"

    knows = 60.0 * F.one_hot(tokens, vocabulary + 1).double()
    says_mask = torch.zeros_like(knows)
    says_mask[..., vocabulary] = 60.0
    best, worst = (tensor(run(logits), (), "the loss") for logits in (knows, says_mask))
    require(
        best < 1e-6 or worst > 1e-6,
        "a model that answers 'mask' everywhere has loss 0: the targets were taken after masking. "
        "They are the true tokens.",
    )
    require(best < 1e-6, f"a model that knows the true tokens should have loss 0, not {best:.3g}.")
    yield "the targets are the true tokens"

    each = F.cross_entropy(some.flatten(0, 2), tokens.flatten(), reduction="none").view_as(mask)
    want, value = each[mask].mean(), tensor(value, (), "the loss")
    if not close(value, want):
        require(
            not close(value, each.mean()) and not close(value, each[:, 1:].mean()),
            "tokens that were not hidden count too: the model has them before its eyes, copies "
            "them, and the loss looks good for nothing. Average over the hidden ones.",
        )
        require(
            not close(value, each[~mask].mean()),
            "only the tokens that were NOT hidden count: it is the other way round.",
        )
        require(
            not close(value, each[mask].sum()),
            "this is the sum over the hidden tokens; take the mean, or the rate decides.",
        )
        require(
            not close(value, (each * mask).mean()),
            "the sum over the hidden tokens is divided by the number of all tokens.",
        )
        raise Hint(
            "the loss is the mean cross entropy over the hidden tokens, "
            f"{want:.4f}; you give {value:.4f}."
        )
    yield "only hidden tokens count, each the same"

    logits = some.clone().requires_grad_()
    result = run(logits)
    require(
        torch.is_tensor(result) and result.requires_grad,
        "no gradient reaches the model: is there a detach() or no_grad() too many?",
    )
    yield "the gradient reaches the model"


@exercise("09.4", "attention over time")
def attention_over_time(temporal_attention: Callable) -> Iterator[str]:
    """``temporal_attention(q, k, v)``, all ``[B, T, S, D]``."""
    function(temporal_attention, "temporal_attention")
    generator = torch.Generator().manual_seed(0)
    shape = (2, 5, 3, 4)
    q, k, v = torch.randn((3, *shape), generator=generator, dtype=F64)

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        result = temporal_attention(q.clone(), k.clone(), v.clone())
        if torch.is_tensor(result) and result.shape == shape and result[:, 0].isnan().any():
            raise Hint(
                "the first frame gives NaN: it has nothing to look at. A frame also sees itself, "
                "not only the earlier ones."
            )
        return tensor(result, tuple(q.shape), "the result")

    out = run(q, k, v)
    yield "the shape stays"

    changed = v.clone()
    changed[:, 3:] += 10
    after = run(q, k, changed)
    require(
        close(after[:, :3], out[:, :3]),
        "a later frame changed an earlier one: the attention is not causal. Frame t may look at "
        "frames 0 to t; give all later ones -inf before the softmax.",
    )
    require(
        not close(after[:, 3:], out[:, 3:]),
        "frames 3 and 4 changed, and the output there did not: a frame should see itself.",
    )
    yield "a frame never sees a later one"

    changed = v.clone()
    changed[:, :, 0] += 10
    require(
        close(run(q, k, changed)[:, :, 1:], out[:, :, 1:]),
        "place 0 changed, and other places felt it: over time each place looks at itself alone. "
        "(Looking around in the frame is the job of the other attention.)",
    )
    yield "a place sees only itself, at other times"

    ones = torch.ones_like(v)
    require(
        close(run(q, k, ones), ones),
        "if all values are the same, so is the output: the weights of each query should add up "
        "to 1 over the keys. Is the softmax taken over the wrong axis?",
    )
    yield "the weights add up to 1"

    want = _reference(q, k, v, shape[-1] ** -0.5)
    if not close(out, want):
        require(
            not close(out, _reference(q, k, v, 1.0)),
            "the products are not divided by the square root of D: with wide vectors the softmax "
            "would pick one frame and learn nothing.",
        )
        require(
            not close(out, _reference(q, k, v, 1 / shape[-1])),
            "the products are divided by D; divide by its square root.",
        )
        raise Hint("softmax over the frames of q · k / sqrt(D), times v, at each place.")
    yield "it agrees with attention written as plain loops"


def _reference(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Causal attention over time at each place, frame by frame."""
    out = torch.zeros_like(v)
    for t in range(q.shape[1]):
        products = (q[:, t : t + 1] * k[:, : t + 1]).sum(-1, keepdim=True) * scale
        out[:, t] = (products.softmax(dim=1) * v[:, : t + 1]).sum(dim=1)
    return out
