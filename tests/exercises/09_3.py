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
    ("writes_into_the_tokens", (writes_into_the_tokens,), "writes the mask into the true tokens"),
    ("gradient_cut", (gradient_cut,), "no gradient reaches the model"),
]
