"""Exercise 05.2: noise on the past, and the bucket that tells of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import (
    between,
    close,
    exercise,
    integer,
    normal,
    pair,
    require,
    seeded,
    tensor,
)


@exercise("05.2", "noise on the past, and the bucket that tells of it")
def noise_on_the_past(augment: Answer, *, seed: int = 0) -> Iterator[str]:
    """``augment(past, uniform, normal, most, buckets) -> noisy, bucket``."""
    draw = seeded(seed)
    buckets, most = integer(draw, 4, 12), float(between(draw, 0.4, 0.9))
    past, eps = normal(draw, 2, 9, 3, 2, 4, 4).unbind(0)
    inside = torch.arange(buckets).repeat(2)[:8] + torch.tensor([0.0] + 4 * [0.3] + 3 * [0.8])
    uniform = torch.cat([inside / buckets, torch.tensor([1 - 0.1 / buckets])]).float().double()
    uniform[1:] = uniform[1:].clamp(min=0.05)
    answer = pair(
        augment(past, uniform, eps, most, buckets),
        2,
        "augment should return two things: the noisy past and the buckets.",
    )
    noisy = tensor(answer[0], tuple(past.shape), "the noisy past")
    added = noisy - past
    require(close(added[0], 0), "where the uniform number is 0 nothing should be added.")
    share = added.flatten(1) / eps.flatten(1)
    require(
        close(share, share[:, :1], 1e-2),
        "all frames of one sample get noise of the same strength: the network is told one "
        "strength, so make it [B, 1, 1, 1, 1].",
    )
    strength = (added * eps).flatten(1).sum(1) / eps.flatten(1).square().sum(1)
    require(
        not close(strength, uniform),
        "the strength runs from 0 to `most`, not to 1: multiply the uniform numbers by it.",
    )
    require(
        close(added, (most * uniform).view(-1, 1, 1, 1, 1) * eps),
        "the strength should be most · uniform, and the noise strength · normal.",
    )
    yield "each sample gets noise of one strength, from 0 to the most"

    bucket = torch.as_tensor(answer[1])
    require(
        not bucket.is_floating_point(),
        "buckets are whole numbers (an embedding looks them up): end with `.long()`.",
    )
    found = tensor(bucket, (9,), "the buckets")
    wanted = (uniform * buckets).floor()
    require(found.max() < buckets, f"with {buckets} buckets the last one is {buckets - 1}.")
    require(
        not close(found, (uniform * buckets).round().clamp(max=buckets - 1)),
        "bucket 0 is as wide as the others: round down, not to the nearest.",
    )
    require(close(found, wanted), "bucket k holds the uniform numbers from k / buckets on.")
    yield "equal buckets, counted from 0"

    edge = torch.tensor([0.0] * 8 + [1.0]).double()
    last = pair(augment(past, edge, eps, most, buckets), 2, "two things, for all numbers.")[1]
    last = tensor(last, (9,), "the buckets")
    require(
        last[-1] == buckets - 1 and (last[:-1] == 0).all(),
        f"a uniform number of exactly 1 should fall into the last bucket, {buckets - 1}: clamp.",
    )
    yield "the edge belongs to the last bucket"
