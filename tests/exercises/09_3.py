"""The masked loss, wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def _loss(
    model, tokens, actions, rate, uniform, mask_token, *, first=False, flip=False, over="hidden"
):
    mask = uniform < rate[:, None, None]
    mask = ~mask if flip else mask
    if not first:
        mask[:, 0] = False
    hidden = torch.where(mask, mask_token, tokens)
    logits = model(hidden, actions)
    each = F.cross_entropy(logits.flatten(0, 2), tokens.flatten(), reduction="none")
    each = each.view(mask.shape)
    results = {
        "hidden": each[mask].mean(),
        "all": each.mean(),
        "open": each[~mask].mean(),
        "sum": each[mask].sum(),
        "all in the divisor": (each * mask).mean(),
    }
    return results[over]


def targets_after_masking(model, tokens, actions, rate, uniform, mask_token):
    mask = uniform < rate[:, None, None]
    mask[:, 0] = False
    tokens = torch.where(mask, mask_token, tokens)
    return F.cross_entropy(model(tokens, actions)[mask], tokens[mask])


def first_frame_masked(*args):
    return _loss(*args, first=True)


def over_all_tokens(*args):
    return _loss(*args, over="all")


def over_the_open_tokens(*args):
    return _loss(*args, over="open")


def summed(*args):
    return _loss(*args, over="sum")


def divided_by_all(*args):
    return _loss(*args, over="all in the divisor")


def mask_upside_down(*args):
    return _loss(*args, flip=True)


def one_rate_for_all(model, tokens, actions, rate, uniform, mask_token):
    return _loss(model, tokens, actions, rate.mean().expand_as(rate), uniform, mask_token)


def writes_into_the_tokens(model, tokens, actions, rate, uniform, mask_token):
    true = tokens.clone()
    mask = uniform < rate[:, None, None]
    mask[:, 0] = False
    tokens[mask] = mask_token
    return F.cross_entropy(model(tokens, actions)[mask], true[mask])


def gradient_cut(*args):
    return _loss(*args).detach()


WRONG = [
    ("targets_after_masking", (targets_after_masking,), "the targets were taken after masking"),
    ("first_frame_masked", (first_frame_masked,), "the first frame is masked"),
    ("over_all_tokens", (over_all_tokens,), "not hidden count too"),
    ("over_the_open_tokens", (over_the_open_tokens,), "the other way round"),
    ("summed", (summed,), "or the rate decides"),
    ("divided_by_all", (divided_by_all,), "by the number of all tokens"),
    ("mask_upside_down", (mask_upside_down,), "the mask is upside down"),
    ("one_rate_for_all", (one_rate_for_all,), "each clip has a rate of its own"),
    ("writes_into_the_tokens", (writes_into_the_tokens,), "changed its argument `tokens`"),
    ("gradient_cut", (gradient_cut,), "no gradient reaches the model"),
]


def hides_at_the_rate_too(model, tokens, actions, rate, uniform, mask_token):
    mask = uniform <= rate[:, None, None]
    mask[:, 0] = False
    logits = model(tokens.masked_fill(mask, mask_token), actions)
    return F.cross_entropy(logits[mask], tokens[mask])


def writes_into_the_draw(model, tokens, actions, rate, uniform, mask_token):
    uniform[:, 0] = 1.0
    mask = uniform < rate[:, None, None]
    logits = model(tokens.masked_fill(mask, mask_token), actions)
    return F.cross_entropy(logits[mask], tokens[mask])


# Right answers in other styles.


def in_loops(model, tokens, actions, rate, uniform, mask_token):
    hidden, places = tokens.clone(), []
    for b, t, s in torch.cartesian_prod(*map(torch.arange, tokens.shape)).tolist():
        if t and uniform[b, t, s] < rate[b]:
            hidden[b, t, s] = mask_token
            places.append((b, t, s))
    log = model(hidden, actions).log_softmax(-1)
    return -sum(log[b, t, s, tokens[b, t, s]] for b, t, s in places) / len(places)


def with_ignored_targets(model, tokens, actions, rate, uniform, mask_token):
    mask = torch.einsum("bts,b->bts", uniform.double(), 0 * rate.double() + 1)
    mask = mask < rate.double().view(-1, 1, 1)
    mask = mask & (torch.arange(tokens.shape[1]) > 0)[None, :, None]
    logits = model(tokens.masked_fill(mask, mask_token), actions).double()
    targets = tokens.masked_fill(~mask, -100)
    return F.cross_entropy(logits.permute(0, 3, 1, 2), targets)


WRONG += [
    ("hides_at_the_rate_too", (hides_at_the_rate_too,), "a clip of rate 0"),
    ("writes_into_the_draw", (writes_into_the_draw,), "changed its argument `uniform`"),
]
RIGHT = [("in_loops", (in_loops,)), ("with_ignored_targets", (with_ignored_targets,))]
