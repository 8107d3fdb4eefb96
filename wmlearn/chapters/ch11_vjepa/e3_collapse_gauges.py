"""Exercise 11.3: two gauges of collapse."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, normal, require, seeded, tensor

F64 = torch.float64


@exercise("11.3", "two gauges of collapse")
def gauges(feature_std: Answer, effective_rank: Answer, *, seed: int = 0) -> Iterator[str]:
    """``feature_std(features [n, D])`` and ``effective_rank(features [n, D])``, scalars."""
    draw = seeded(seed)

    def spread(x: Tensor) -> Tensor:
        return tensor(feature_std(x), (), "feature_std(features)")

    scales = torch.tensor([1.0, 1, 1, 2, 4, 9], dtype=F64)
    x = normal(draw, 40, 6) * scales + torch.arange(6, dtype=F64) * 10
    got = spread(x)
    if not close(got, x.std(0).mean(), 0.03):
        require(
            not close(got, x.std(1).mean(), 0.03),
            "the spread is taken over the channels of each token; ask how far the tokens differ: "
            "standard deviation over the first axis.",
        )
        require(
            not close(got, x.std(), 0.03),
            "all numbers are thrown together: a feature whose channels differ would look spread "
            "out although all tokens are equal. First over tokens, then the mean over channels.",
        )
        require(
            not close(got, x.var(0).mean(), 0.03),
            "that is a variance: take its square root before the mean over channels.",
        )
        raise Hint("feature_std is the standard deviation over tokens, averaged over channels.")
    same = normal(draw, 1, 6).expand(40, 6)
    require(spread(same) < 1e-5, "when all tokens are equal the spread is 0: that is a collapse.")
    yield "the spread over tokens; 0 when all are equal"

    def rank(x: Tensor) -> Tensor:
        value = tensor(effective_rank(x), (), "effective_rank(features)")
        require(
            value > 0.5,
            f"an effective rank is at least 1; yours is {value:.3f} here. Does it come from "
            "`eigvalsh`? An eigenvalue that should be 0 may come out a little *negative* by "
            "rounding, and its entropy is -infinity: clamp the eigenvalues, `.clamp(min=0)`, "
            "before you take shares.",
        )
        return value

    equal = _with_variances(torch.tensor([1.0] * 8, dtype=F64), draw)
    full = rank(equal)
    require(
        not close(full, torch.tensor(8.0).log(), 1e-3),
        f"that is the entropy, {full:.3f}; the effective rank is its exponential, so that 8 equal "
        "directions give 8.",
    )
    require(
        close(full, 8.0, 1e-3),
        f"8 directions with the same variance have effective rank 8; yours is {full:.3f}. It is "
        "exp(-sum p log p), with p the shares of variance (natural logarithm).",
    )
    yield "8 equal directions have rank 8"

    few = _with_variances(torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0], dtype=F64), draw)
    try:
        three = rank(few)
    except Hint as hint:
        if "NaN" not in str(hint):
            raise
        raise Hint(
            "a direction without variance gives 0 · log 0, which is NaN here; it should count "
            "nothing. Clamp the share inside the logarithm. (With `eigvalsh` it may even come out "
            "a little under 0: clamp the eigenvalues first.)"
        ) from None
    require(
        close(three, 3.0, 1e-2),
        f"3 equal directions of 8 have effective rank 3; yours is {three:.3f}.",
    )
    yield "3 of 8 equal directions have rank 3"

    require(
        close(rank(few + 7.0 * normal(draw, 1, 8)), 3.0, 1e-2),
        "adding the same vector to all features changed the rank: subtract the mean over tokens "
        "first, or the mean counts as a direction.",
    )
    yield "where the features lie does not matter"

    variances = torch.tensor([16.0, 4.0, 1.0, 0.25], dtype=F64) * between(draw, 0.8, 1.2, 4)
    share = variances / variances.sum()
    uneven, want = rank(_with_variances(variances, draw)), torch.exp(-(share * share.log()).sum())
    if not close(uneven, want, 1e-3):
        root = variances.sqrt() / variances.sqrt().sum()
        square = variances.square() / variances.square().sum()
        require(
            not close(uneven, torch.exp(-(root * root.log()).sum()), 1e-3),
            "the shares are of standard deviations (singular values); a share of variance has the "
            "singular values squared.",
        )
        require(
            not close(uneven, torch.exp(-(square * square.log()).sum()), 1e-3),
            "the shares are of squared variances: the eigenvalues of the covariance are variances "
            "already.",
        )
        require(
            not close(uneven, 1 / share.square().sum(), 1e-3),
            "that is the participation ratio, 1 / sum p²: a relative of it, but ours is "
            "exp(-sum p log p).",
        )
        require(
            not close(uneven, 4.0, 1e-3),
            "that counts directions; a direction with a hundredth of the variance should count "
            "for less than a whole one.",
        )
        raise Hint(
            f"with variances of about 16, 4, 1, 1/4 the rank is {want:.3f}; yours is {uneven:.3f}."
        )
    yield "unequal directions count by their share of variance"

    zeros = torch.zeros(20, 5, dtype=F64)
    zeros[:, 2] = normal(draw, 20)
    try:
        one = rank(zeros)
    except Hint:
        one = torch.tensor(torch.nan)
    require(
        close(one, 1.0, 1e-2),
        "features with a single channel that varies, and zeros in the others, have effective rank "
        f"1; yours is {one:.3f}. A share of 0 counts nothing: 0 · log 0 is 0.",
    )
    yield "a channel without variance counts nothing"


def _with_variances(variances: Tensor, draw: torch.Generator, tokens: int = 64) -> Tensor:
    """Features ``[tokens, D]`` whose covariance has exactly these eigenvalues, in some basis."""
    dim = len(variances)
    raw = normal(draw, tokens, dim)
    q, _ = torch.linalg.qr(raw - raw.mean(0))
    basis, _ = torch.linalg.qr(normal(draw, dim, dim))
    return (q * variances.sqrt() * (tokens - 1) ** 0.5) @ basis
