"""A loss whose dreams fill with monsters, not repaired."""

from __future__ import annotations

import torch


def _loss(prediction, last, following, rare, of="last", power=2, mean=True):
    weight = rare({"last": last, "following": following, "prediction": prediction}[of])
    error = weight * (prediction - following).abs() ** power
    return error.mean((1, 2, 3)) if mean else error.sum((1, 2, 3))


def weighs_the_next_frame(*args):
    return _loss(*args, of="following")


def weighs_both(prediction, last, following, rare):
    weight = rare(last) + rare(following)
    return (weight * (prediction - following) ** 2).mean((1, 2, 3))


def weighs_nothing(prediction, last, following, rare):
    return ((prediction - following) ** 2).mean((1, 2, 3))


def weighs_the_prediction(*args):
    return _loss(*args, of="prediction")


def a_sum(*args):
    return _loss(*args, mean=False)


def one_number(*args):
    return _loss(*args).mean()


def weight_of_the_whole_frame(prediction, last, following, rare):
    weight = rare(last).mean((1, 2, 3), keepdim=True)
    return (weight * (prediction - following) ** 2).mean((1, 2, 3))


def fourth_power(*args):
    return _loss(*args, power=4)


def divided_by_the_weights(prediction, last, following, rare):
    weight = rare(last)
    error = weight * (prediction - following) ** 2
    return error.sum((1, 2, 3)) / weight.sum((1, 2, 3))


WRONG = [
    ("weighs_the_next_frame", (weighs_the_next_frame,), "towards the monster"),
    ("weighs_nothing", (weighs_nothing,), "count more than one elsewhere"),
    ("a_sum", (a_sum,), "the mean over"),
    ("one_number", (one_number,), "one number a sample"),
]
ALSO = [
    ("weighs_both", (weighs_both,), "towards the monster"),
    ("weighs_the_prediction", (weighs_the_prediction,), "count more than one elsewhere"),
    ("weight_of_the_whole_frame", (weight_of_the_whole_frame,), "count more than one elsewhere"),
    ("fourth_power", (fourth_power,), "the mean over"),
    ("divided_by_the_weights", (divided_by_the_weights,), "the mean over"),
]


# Right answers in other styles.


def with_einsum(prediction, last, following, rare):
    error = (prediction - following).double()
    size = error[0].numel()
    return torch.einsum("bchw,bchw,bchw->b", rare(last).double(), error, error) / size


def sample_by_sample(prediction, last, following, rare):
    rows = zip(prediction, last, following, strict=True)
    return torch.stack([(rare(b) * (a - c).square()).mean() for a, b, c in rows])


RIGHT = [("with_einsum", (with_einsum,)), ("sample_by_sample", (sample_by_sample,))]
