"""Exercise 09.1: a quantizer that lets gradients through."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from wmlearn.teach.answers import Answer, Leaf, Reply
from wmlearn.teach.checks import Hint, close, exercise, normal, pair, require, seeded, tensor


@exercise("09.1", "a quantizer that lets gradients through")
def quantizer(quantize: Answer, *, seed: int = 0) -> Iterator[str]:
    """``quantize(x, codebook, beta) -> (vectors, codes, loss)`` for x [N, D], codebook [K, D]."""
    draw = seeded(seed)
    x, codebook = _points(draw)
    beta, down = 0.25, normal(draw, 7, 3)

    def run(pull: tuple, beta: float = beta) -> tuple[tuple, Reply]:
        reply = quantize.ask(Leaf(x), Leaf(codebook), beta, pull=pull)
        hint = "return three things in this order: vectors, codes, loss."
        return pair(reply.value, 3, hint), reply

    (vectors, codes, loss), reply = run((down, None, None))
    require(
        not isinstance(codes, Tensor) or codes.dtype == torch.int64,
        f"codes should be int64, as an index is; yours are {getattr(codes, 'dtype', None)}.",
    )
    distance = torch.cdist(x, codebook)
    nearest = distance.argmin(dim=1)
    got = tensor(codes, (7,), "codes")
    if not close(got, nearest):
        require(
            not close(got, distance.argmax(dim=1)),
            "these are the farthest codes: take the one with the smallest distance.",
        )
        alike = F.normalize(x, dim=1) @ F.normalize(codebook, dim=1).T
        require(
            not close(got, alike.argmax(dim=1)),
            "this is the chapter's quantizer, which first brings all vectors and codes to length "
            "one: here compare, return and weigh them as they are, with no `F.normalize`.",
        )
        require(
            not close(got, (x @ codebook.T).argmax(dim=1)),
            "the largest product is not the nearest code: a long code wins every product. "
            "Compare squared distances.",
        )
        require(
            not close(got, torch.cdist(x, codebook, p=1).argmin(dim=1)),
            "these are the nearest by the sum of absolute differences (L1): the distance is the "
            "Euclidean one, whose square the loss takes too.",
        )
        raise Hint("codes[i] should be the number of the codebook's row that is nearest to x[i].")
    yield "each vector gets its nearest code"

    require(
        close(tensor(vectors, (7, 3), "vectors"), codebook[nearest]),
        "vectors[i] should have the value of its code, codebook[codes[i]].",
    )
    yield "the vectors are the codes' own"

    gx, gbook, _ = reply.gradients
    require(
        gx is not None and gx.abs().sum() > 0,
        "no gradient reaches x, so an encoder would never learn: the choice of a code has none. "
        "Let it pass straight through: add to x the difference to its code, without gradient.",
    )
    require(
        close(gx, down),
        "the gradient should pass straight through: that of vectors is that of x, unchanged.",
    )
    require(
        gbook is None or close(gbook, torch.zeros_like(codebook)),
        "the codebook gets a gradient through vectors: it should learn from its own term in the "
        "loss alone. Detach the code where you use it as the value.",
    )
    yield "the gradient passes straight through to x, and only there"

    squares = (x - codebook[nearest]).square().sum(dim=1)
    value = tensor(loss, (), "loss")
    if not close(value, (1 + beta) * squares.mean()):
        require(
            not close(value, (1 + beta) * squares.mean() / 3),
            "the loss is divided by D as well: the squared distance is a sum over the "
            "coordinates, the mean is over the N vectors.",
        )
        require(
            not close(value, 2 * squares.mean()),
            "both terms have weight 1: the commitment has the weight beta.",
        )
        raise Hint(
            "loss = mean of ||sg(x) - code||² plus beta times the mean of ||x - sg(code)||²; in "
            f"value that is (1 + beta) times the mean squared distance, {1.25 * squares.mean():.4f}"
            f", yours is {value:.4f}."
        )
    gx, gbook, _ = run((None, None, 1.0))[1].gradients
    pull = torch.zeros_like(codebook).index_add_(0, nearest, 2 * (codebook[nearest] - x) / 7)
    push = 2 * beta * (x - codebook[nearest]) / 7
    gx = torch.zeros_like(x) if gx is None else gx
    gbook = torch.zeros_like(codebook) if gbook is None else gbook
    require(
        gbook.abs().sum() > 0,
        "no gradient of the loss reaches the codebook: its codes stay where they were drawn. One "
        "of the two terms must detach x, and not the code.",
    )
    require(
        gx.abs().sum() > 0,
        "no gradient of the loss reaches x: nothing keeps the encoder near the codes. The "
        "commitment term detaches the code, and not x.",
    )
    require(
        not close(gbook, beta * pull),
        "beta stands at the wrong term: it weighs the commitment (x moves), the codebook's own "
        "term has weight 1.",
    )
    require(
        close(gbook, pull) and close(gx, push),
        "the two terms mix: in one of them only the code may move, in the other only x. Each "
        "detaches the other side.",
    )
    yield "one term moves the codes, the other, weighed by beta, moves x"

    (_, _, loss), _ = run((None, None, None), 0.0)
    require(
        close(tensor(loss, (), "loss"), squares.mean()),
        "with beta = 0 the commitment should vanish: is 0.25 written into the function?",
    )
    yield "other values of beta work too"


def _points(draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vectors [7, 3] and codes [8, 3]. For the last two vectors another distance finds another
    code: the sum of absolute differences for one, the largest of them for the other."""
    x, codebook = normal(draw, 7, 3), normal(draw, 8, 3)
    codebook[0] *= 6  # a long code, which wins every product but no distance
    x[5], x[6] = 8.0, -8.0
    codebook[4] = x[5] + torch.tensor([0.875, -0.875, 0.875])
    codebook[5] = x[5] + torch.tensor([1.75, 0.125, 0.0])
    codebook[6] = x[6] + torch.tensor([1.0, 1.0, -1.0])
    codebook[7] = x[6] + torch.tensor([0.0, 1.5, 0.0])
    return x, codebook
