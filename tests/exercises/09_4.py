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


# Right answers in other styles.


def with_einsum(q, k, v):
    products = torch.einsum("btsd,busd->bstu", q, k) * q.shape[-1] ** -0.5
    frames = torch.arange(q.shape[1])
    products = products + torch.where(frames[None] > frames[:, None], -torch.inf, 0.0)
    return torch.einsum("bstu,busd->btsd", products.softmax(-1), v)


def in_loops(q, k, v):
    out = torch.zeros(v.shape, dtype=torch.float64)
    for t in range(q.shape[1]):
        for s in range(q.shape[2]):
            keys = k[:, : t + 1, s].double()
            weights = (keys * q[:, t : t + 1, s]).sum(-1) / q.shape[-1] ** 0.5
            weights = torch.exp(weights - weights.amax(1, keepdim=True))
            weights /= weights.sum(1, keepdim=True)
            out[:, t, s] = (weights[..., None] * v[:, : t + 1, s]).sum(1)
    return out


def scales_its_argument(q, k, v):
    q /= q.shape[-1] ** 0.5
    return with_einsum(q * q.shape[-1] ** 0.5, k, v)


def softmax_before_the_mask(q, k, v):
    products = torch.einsum("btsd,busd->bstu", q, k) * q.shape[-1] ** -0.5
    return torch.einsum("bstu,busd->btsd", products.softmax(-1).tril(), v)


WRONG += [
    ("scales_its_argument", (scales_its_argument,), "changed its argument `q`"),
]


def _masked(q, k, v, fill):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    products = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return (fill(products, torch.ones(products.shape[-2:])).softmax(-1) @ v).transpose(1, 2)


def mask_times_infinity(q, k, v):
    return _masked(q, k, v, lambda products, ones: products - ones.triu(1) * torch.inf)


def mask_the_wrong_way_round(q, k, v):
    return _masked(q, k, v, lambda x, ones: x.masked_fill(ones.tril().bool(), -torch.inf))


WRONG += [
    ("mask_times_infinity", (mask_times_infinity,), "0 * inf is NaN"),
    ("mask_the_wrong_way_round", (mask_the_wrong_way_round,), "the last frame gives NaN"),
]
RIGHT = [("with_einsum", (with_einsum,)), ("in_loops", (in_loops,))]
ALSO = [
    ("softmax_before_the_mask", (softmax_before_the_mask,), "weights of each query should add up")
]
