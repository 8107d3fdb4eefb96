"""Noise on the past, and the bucket that tells of it, wrong."""

from __future__ import annotations

import torch


def _augment(
    past, uniform, normal, most, buckets, scale=None, each=False, whole=True, step="floor",
    clamp=True,
):  # fmt: skip
    strength = uniform * (most if scale is None else scale)
    strength = strength.view(-1, 1, 1, 1, 1)
    if each:  # every frame has a strength of its own
        strength = strength * past.new_tensor([1.0, 0.5, 0.2]).view(1, -1, 1, 1, 1)
    bucket = getattr(uniform * buckets, step)()
    bucket = bucket.clamp(max=buckets - 1) if clamp else bucket
    return past + strength * normal, bucket.long() if whole else bucket


def up_to_one(*args):
    return _augment(*args, scale=1.0)


def each_frame_its_own(*args):
    return _augment(*args, each=True)


def rounds_to_the_nearest(*args):
    return _augment(*args, step="round")


def counts_from_one(*args):
    noisy, bucket = _augment(*args)
    return noisy, bucket + 1


def no_clamp(*args):
    return _augment(*args, clamp=False)


def floats(*args):
    return _augment(*args, whole=False)


def variance_for_deviation(past, uniform, normal, most, buckets):
    return _augment(past, uniform, normal, most, buckets, scale=most**0.5)


def replaces_the_past(past, uniform, normal, most, buckets):
    strength = (most * uniform).view(-1, 1, 1, 1, 1)
    return (1 - strength) * past + strength * normal, (uniform * buckets).long()


def in_place(past, uniform, normal, most, buckets):
    bucket = _augment(past, uniform, normal, most, buckets)[1]
    past += (most * uniform).view(-1, 1, 1, 1, 1) * normal
    return past, bucket


def forgets_the_bucket(*args):
    return _augment(*args)[0]


WRONG = [
    ("up_to_one", (up_to_one,), "multiply the uniform numbers"),
    ("each_frame_its_own", (each_frame_its_own,), "same strength"),
    ("rounds_to_the_nearest", (rounds_to_the_nearest,), "round down"),
    ("counts_from_one", (counts_from_one,), "the last one is"),
    ("no_clamp", (no_clamp,), "should fall into the last bucket"),
    ("floats", (floats,), "whole numbers"),
    ("variance_for_deviation", (variance_for_deviation,), "strength should be most"),
    ("in_place", (in_place,), "changed its argument"),
    ("forgets_the_bucket", (forgets_the_bucket,), "two things"),
]
ALSO = [("replaces_the_past", (replaces_the_past,), "same strength")]


# Right answers in other styles.


def in_a_loop(past, uniform, normal, most, buckets):
    noisy, found = past.clone(), []
    for i, share in enumerate(uniform.tolist()):
        noisy[i] += most * share * normal[i]
        found.append(min(int(share * buckets), buckets - 1))
    return noisy, found


def with_searchsorted(past, uniform, normal, most, buckets):
    edges = torch.arange(1, buckets, dtype=torch.float64) / buckets
    bucket = torch.searchsorted(edges, uniform.double() + 1e-7, right=True)
    return past + torch.einsum("b,bnchw->bnchw", most * uniform, normal), bucket


RIGHT = [("in_a_loop", (in_a_loop,)), ("with_searchsorted", (with_searchsorted,))]
