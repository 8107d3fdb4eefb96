"""The experiment on what holds the features up, wrong."""

from __future__ import annotations

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


VISIBLE_ONLY = {"number_for_bool"}  # right in value

WRONG = [
    ("other_order", (other_order,), "another order"),
    ("all_at_once", (all_at_once,), "take away one thing at a time"),
    ("upside_down", (upside_down,), "the wrong way round"),
    ("one_correlation", (one_correlation,), "asked were"),
    ("another_threshold", (another_threshold,), "only there"),
    ("transposed", (transposed,), "should have shape [4, 3], but has [3, 4]"),
    ("number_for_bool", (number_for_bool,), "should be a bool tensor"),
    ("scaled", (scaled,), "as it is"),
]
