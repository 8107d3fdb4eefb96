"""The quantizer, wrong."""

from __future__ import annotations

import torch


def _quantize(x, codebook, beta, codes=None, through="straight", pull=1.0, total="sum", sides="cx"):
    if codes is None:
        codes = torch.cdist(x.detach(), codebook.detach()).argmin(dim=1)
    chosen = codebook[codes]
    distance = lambda a, b: getattr((a - b).square(), total)(dim=1).mean()  # noqa: E731
    terms = {
        "c": distance(x.detach(), chosen),
        "x": distance(x, chosen.detach()),
        "both": distance(x, chosen),
    }
    first, second = (sides[0], sides[1]) if len(sides) == 2 else ("both", "both")
    loss = pull * terms[first] + beta * terms[second]
    value = {
        "straight": x + (chosen - x).detach(),
        "none": chosen,
        "detached": chosen.detach(),
        "both": chosen + (x - x.detach()),
    }
    return value[through], codes, loss


def no_straight_through(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, through="none")


def code_keeps_its_gradient(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, through="both")


def codebook_gradient_missing(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, sides="xx")


def commitment_missing(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, sides="cc")


def beta_at_the_wrong_term(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, sides="xc")


def nothing_detached(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, sides="both")


def largest_product(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, codes=(x @ codebook.T).argmax(dim=1))


def farthest_code(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, codes=torch.cdist(x, codebook).argmax(dim=1))


def mean_over_coordinates(x, codebook, beta=0.25):
    return _quantize(x, codebook, beta, total="mean")


def beta_written_in(x, codebook, beta=0.25):
    return _quantize(x, codebook, 0.25)


WRONG = [
    ("no_straight_through", (no_straight_through,), "no gradient reaches x"),
    ("code_keeps_its_gradient", (code_keeps_its_gradient,), "gets a gradient through vectors"),
    ("codebook_gradient_missing", (codebook_gradient_missing,), "stay where they were drawn"),
    ("commitment_missing", (commitment_missing,), "nothing keeps the encoder near"),
    ("beta_at_the_wrong_term", (beta_at_the_wrong_term,), "beta stands at the wrong term"),
    ("nothing_detached", (nothing_detached,), "the two terms mix"),
    ("largest_product", (largest_product,), "a long code wins every product"),
    ("farthest_code", (farthest_code,), "these are the farthest codes"),
    ("mean_over_coordinates", (mean_over_coordinates,), "divided by D as well"),
    ("beta_written_in", (beta_written_in,), "with beta = 0"),
]


def nearest_by_l1(x, codebook, beta=0.25):
    codes = (x[:, None] - codebook[None]).abs().sum(-1).argmin(1)
    return _loss_of(x, codebook, codes, beta)


def nearest_by_the_largest_difference(x, codebook, beta=0.25):
    codes = (x[:, None] - codebook[None]).abs().amax(-1).argmin(1)
    return _loss_of(x, codebook, codes, beta)


def _loss_of(x, codebook, codes, beta):
    code = codebook[codes]
    pull = ((x.detach() - code) ** 2).sum(1).mean()
    commit = ((x - code.detach()) ** 2).sum(1).mean()
    return x + (code - x).detach(), codes, pull + beta * commit


# Right answers in other styles.


def with_one_hot(x, codebook, beta=0.25):
    lengths = codebook.square().sum(1)
    codes = (lengths - 2 * torch.einsum("nd,kd->nk", x, codebook)).argmin(1)
    chosen = torch.nn.functional.one_hot(codes, len(codebook)).to(x) @ codebook

    def per(a, b):
        return torch.nn.functional.mse_loss(a, b) * x.shape[1]

    loss = per(chosen, x.detach()) + beta * per(x, chosen.detach())
    return x - x.detach() + chosen.detach(), codes, loss


def in_a_loop(x, codebook, beta=0.25):
    codes = [int(((codebook - row) ** 2).sum(1).argmin()) for row in x.double()]
    codes = torch.tensor(codes)
    code = codebook.double()[codes]
    loss = sum(((a.detach() - b) ** 2).sum() for a, b in zip(x, code, strict=True)) / len(x)
    loss = loss + beta * ((x - code.detach()) ** 2).sum() / len(x)
    return x + (code - x).detach(), codes, loss


WRONG += [
    ("nearest_by_l1", (nearest_by_l1,), "sum of absolute differences"),
    (
        "nearest_by_the_largest_difference",
        (nearest_by_the_largest_difference,),
        "codebook's row that is nearest",
    ),
]


def as_in_the_chapter(x, codebook, beta=0.25):
    normalize = torch.nn.functional.normalize
    x, codebook = normalize(x, dim=-1), normalize(codebook, dim=-1)
    return _loss_of(x, codebook, (x @ codebook.T).argmax(-1), beta)


def codes_in_int32(x, codebook, beta=0.25):
    vectors, codes, loss = _quantize(x, codebook, beta)
    return vectors, codes.int(), loss


WRONG += [
    ("as_in_the_chapter", (as_in_the_chapter,), "the chapter's quantizer"),
    ("codes_in_int32", (codes_in_int32,), "should be int64"),
]
RIGHT = [("with_one_hot", (with_one_hot,)), ("in_a_loop", (in_a_loop,))]
