"""Exercise 09.3: repair the masked loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, normal, require, seeded, tensor


@exercise("09.3", "repair the masked loss")
def masked_loss(loss: Answer, *, seed: int = 0) -> Iterator[str]:
    """``loss(model, tokens, actions, rate, uniform, mask_token)``, a scalar."""
    batch, time, space, vocabulary = 4, 4, 6, 5
    draw = seeded(seed)
    tokens = torch.randint(0, vocabulary, (batch, time, space), generator=draw)
    actions = torch.randint(0, 8, (batch, time - 1), generator=draw)
    rate = (torch.tensor([0.25, 0.5, 0.875, 0.0]) + between(draw, 0, 0.1, 4)).float().double()
    rate[3] = 0.0  # in this clip nothing is hidden, not even where the draw is exactly 0
    uniform = torch.rand((batch, time, space), generator=draw).double()
    uniform[3, 1, 2] = uniform[3, 2, 1] = 0.0
    mask = uniform < rate[:, None, None]
    mask[:, 0] = False
    some = normal(draw, batch, time, space, vocabulary + 1)
    seen: list[tuple[Tensor, Tensor]] = []

    def run(logits: Tensor, pull: float | None = None) -> object:
        seen.clear()

        def model(hidden: Tensor, pressed: Tensor) -> Tensor:
            seen.append((hidden, pressed))
            return logits

        value = loss.ask(model, tokens, actions, rate, uniform, vocabulary, pull=pull).value
        require(value is not None, "the loss is None: is a `return` missing?")
        require(len(seen) == 1, f"the model was called {len(seen)} times; once is enough.")
        return value

    value = run(some.clone().requires_grad_())
    hidden, pressed = seen[0]
    require(
        isinstance(hidden, Tensor)
        and hidden.shape == tokens.shape
        and isinstance(pressed, Tensor)
        and torch.equal(pressed, actions),
        "the model gets the tokens with the mask in them, [B, T, S], and the actions as they are.",
    )
    require(
        torch.equal(hidden[:, 0], tokens[:, 0]),
        "the first frame is masked: at play it is the picture that you start from, and nothing "
        "before it could tell what it shows. Leave it whole.",
    )
    covered = hidden[:, 1:] == vocabulary
    if not torch.equal(covered, mask[:, 1:]):
        require(
            not torch.equal(covered, (uniform > rate[:, None, None])[:, 1:])
            and not torch.equal(covered, ~mask[:, 1:]),
            "the mask is upside down: a token is hidden where uniform is below the rate.",
        )
        alike = uniform < rate.mean()
        require(
            not torch.equal(covered, alike[:, 1:]),
            "each clip has a rate of its own: rate[b] belongs to uniform[b].",
        )
        require(
            not torch.equal(covered, (uniform <= rate[:, None, None])[:, 1:]),
            "a clip of rate 0 has a hidden token: hide where uniform is *below* the rate, `<`. The "
            "draw may be exactly 0.",
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

    logits, twin = some.clone().requires_grad_(), some.clone().requires_grad_()
    run(logits, pull=1.0)
    require(
        logits.grad is not None,
        "no gradient reaches the model: is there a detach() or no_grad() too many?",
    )
    F.cross_entropy(twin[mask], tokens[mask]).backward()
    require(
        close(logits.grad, twin.grad),
        "the gradient that reaches the model is not that of the loss: is a part of it detached?",
    )
    yield "the gradient reaches the model"
