"""Attention over time, wrong."""

from __future__ import annotations

import torch


def _attention(q, k, v, *, mask="later", scale=0.5, axis=-1, swap=True):
    if swap:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    length = q.shape[2]
    products = q @ k.transpose(-1, -2) / q.shape[-1] ** scale
    ones = torch.ones(length, length, dtype=torch.bool)
    hide = {
        "later": ones.triu(1),
        "nothing": torch.zeros_like(ones),
        "earlier": ones.tril(-1),
        "itself too": ones.triu(0),
    }
    out = products.masked_fill(hide[mask], -torch.inf).softmax(dim=axis) @ v
    return out.transpose(1, 2) if swap else out


def not_causal(q, k, v):
    return _attention(q, k, v, mask="nothing")


def looks_at_the_future(q, k, v):
    return _attention(q, k, v, mask="earlier")


def not_itself(q, k, v):
    return _attention(q, k, v, mask="itself too")


def over_space(q, k, v):
    return _attention(q, k, v, mask="nothing", swap=False)


def over_everything_before(q, k, v):
    """Full causal attention: all places of the earlier frames and of this one."""
    batch, time, space, dim = q.shape
    q, k, v = (x.reshape(batch, time * space, dim) for x in (q, k, v))
    when = torch.arange(time).repeat_interleave(space)
    products = (q @ k.transpose(1, 2) / dim**0.5).masked_fill(when[:, None] < when, -torch.inf)
    return (products.softmax(-1) @ v).view(batch, time, space, dim)


def softmax_over_the_queries(q, k, v):
    return _attention(q, k, v, axis=-2)


def no_scale(q, k, v):
    return _attention(q, k, v, scale=0.0)


def divided_by_d(q, k, v):
    return _attention(q, k, v, scale=1.0)


def keys_for_values(q, k, v):
    weights = _attention(q, k, torch.ones_like(v))
    return weights * v


WRONG = [
    ("not_causal", (not_causal,), "the attention is not causal"),
    ("not_itself", (not_itself,), "the first frame gives NaN"),
    ("over_everything_before", (over_everything_before,), "other places felt it"),
    ("softmax_over_the_queries", (softmax_over_the_queries,), "over the wrong axis"),
    ("no_scale", (no_scale,), "not divided by the square root"),
    ("divided_by_d", (divided_by_d,), "divide by its square root"),
    ("keys_for_values", (keys_for_values,), "softmax over the frames of q"),
]
