"""The experiment on what holds the features up, wrong."""

from __future__ import annotations

import numpy as np
import torch

SETUPS = [(True, True, 0.99), (True, True, 0.0), (False, True, 0.99), (True, False, 0.99)]


def _sizes(toy, rhos, setups=SETUPS):
    return torch.tensor([[toy(*setup, rho) for rho in rhos] for setup in setups])


def other_order(toy, rhos):
    sizes = _sizes(toy, rhos)[[0, 2, 3, 1]]
    return sizes, sizes < 0.05


def all_at_once(toy, rhos):
    sizes = _sizes(toy, rhos, [*SETUPS[:2], (False, True, 0.0), (False, False, 0.0)])
    return sizes, sizes < 0.05


def upside_down(toy, rhos):
    sizes = _sizes(toy, rhos)
    return sizes, sizes > 0.05


def one_correlation(toy, rhos):
    sizes = _sizes(toy, [rhos[0]] * len(rhos))
    return sizes, sizes < 0.05


def another_threshold(toy, rhos):
    sizes = _sizes(toy, rhos)
    return sizes, sizes < 1.0


def transposed(toy, rhos):
    sizes = _sizes(toy, rhos).T
    return sizes, sizes < 0.05


def number_for_bool(toy, rhos):
    sizes = _sizes(toy, rhos)
    return sizes, (sizes < 0.05).float()


def scaled(toy, rhos):
    sizes = _sizes(toy, rhos)
    sizes = sizes / sizes.max()
    return sizes, sizes < 0.05


WRONG = [
    ("other_order", (other_order,), "another order"),
    ("all_at_once", (all_at_once,), "take away one thing at a time"),
    ("upside_down", (upside_down,), "the wrong way round"),
    ("one_correlation", (one_correlation,), "asked were"),
    ("transposed", (transposed,), "should have shape [4, 3], but has [3, 4]"),
    ("number_for_bool", (number_for_bool,), "should be a bool tensor"),
    ("scaled", (scaled,), "as it is"),
]


def threshold_of_a_half(toy, rhos):
    sizes = _sizes(toy, rhos)
    return sizes, sizes < 0.5


def relative_threshold(toy, rhos):
    sizes = _sizes(toy, rhos)
    return sizes, sizes < 0.05 * sizes.max()


# Right answers in other styles.


def with_numpy(toy, rhos):
    sizes = np.array([[toy(*setup, rho) for rho in rhos] for setup in SETUPS])
    return sizes, sizes < 0.05


def filled_in(toy, rhos):
    sizes = torch.empty(4, len(rhos), dtype=torch.float64)
    for column, rho in enumerate(rhos):
        for row, (predictor, stop, momentum) in enumerate(SETUPS):
            size = toy(predictor=predictor, stop_gradient=stop, momentum=momentum, rho=rho)
            sizes[row, column] = size
    return sizes, [[bool(size < 0.05) for size in row] for row in sizes]


WRONG += [
    ("threshold_of_a_half", (threshold_of_a_half,), "a size of 0.3 counts"),
    ("relative_threshold", (relative_threshold,), "whatever the other sizes are"),
]
RIGHT = [("with_numpy", (with_numpy,)), ("filled_in", (filled_in,))]
ALSO = [("another_threshold", (another_threshold,), "only there")]
