"""Exercise 05.2: noise on the past, and the bucket that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from wmlearn.teach.checks import close, exercise, function, require, tensor

F64 = torch.float64


@exercise("05.2", "noise on the past, and the bucket that tells of it")
def noise_on_the_past(augment: Callable, *, most: float = 0.7, buckets: int = 10) -> Iterator[str]:
    """``augment(past, uniform, normal, most, buckets) -> noisy, bucket``.

    ``most`` and ``buckets`` are what this course asks for.
    """
    function(augment, "augment")
    generator = torch.Generator().manual_seed(0)
    past = torch.randn(7, 3, 2, 4, 4, generator=generator, dtype=F64)
    normal = torch.randn(past.shape, generator=generator, dtype=F64)
    uniform = torch.tensor([0.0, 0.049, 0.151, 0.5, 0.749, 0.951, 0.999], dtype=F64)
    kept = past.clone()
    answer = augment(past, uniform, normal, most, buckets)
    require(
        isinstance(answer, (tuple, list)) and len(answer) == 2,
        "augment should return two things: the noisy past and the buckets.",
    )
    require(torch.equal(past, kept), "augment changed the past in place: write `past + ...`.")
    noisy = tensor(answer[0], tuple(past.shape), "the noisy past")
    added = noisy - past
    require(close(added[0], 0), "where the uniform number is 0 nothing should be added.")
    share = (added / normal).flatten(1)
    require(
        close(share, share[:, :1]),
        "all frames of one sample get noise of the same strength: the network is told one "
        "strength, so make it [B, 1, 1, 1, 1].",
    )
    require(
        not close(share[:, 0], uniform),
        "the strength runs from 0 to `most`, not to 1: multiply the uniform numbers by it.",
    )
    require(
        close(share[:, 0], most * uniform),
        "the strength should be most · uniform, and the noise strength · normal.",
    )
    yield "each sample gets noise of one strength, from 0 to the most"

    bucket = torch.as_tensor(answer[1])
    require(
        not bucket.is_floating_point(),
        "buckets are whole numbers (an embedding looks them up): end with `.long()`.",
    )
    bucket = tensor(bucket, (7,), "the buckets")
    wanted = (uniform * buckets).floor()
    require(bucket.max() < buckets, f"with {buckets} buckets the last one is {buckets - 1}.")
    require(
        not close(bucket, (uniform * buckets).round().clamp(max=buckets - 1)),
        "bucket 0 is as wide as the others: round down, not to the nearest.",
    )
    require(close(bucket, wanted), "bucket k holds the uniform numbers from k / buckets on.")
    yield "ten equal buckets, counted from 0"

    one = augment(past, torch.ones(7, dtype=F64), normal, most, buckets)[1]
    require(
        torch.as_tensor(one).max() == buckets - 1,
        f"a uniform number of exactly 1 should fall into the last bucket, {buckets - 1}: clamp.",
    )
    yield "the edge belongs to the last bucket"
