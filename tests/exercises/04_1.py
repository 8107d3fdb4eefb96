"""EDM's four coefficients, wrong."""

from __future__ import annotations

import math

import numpy as np
import torch


def _edm(total, data):
    c_in = 1 / (total**2 + data**2).sqrt()
    c_skip = data**2 / (total**2 + data**2)
    return c_in, total * data * c_in, c_skip, total.log() / 4


def offset_forgotten(sigma, sigma_data=0.5, sigma_offset=0.3):
    return _edm(sigma, sigma_data)


def offset_added_without_squares(sigma, sigma_data=0.5, sigma_offset=0.3):
    return _edm(sigma + sigma_offset, sigma_data)


def c_in_without_root(sigma, sigma_data=0.5, sigma_offset=0.3):
    _, c_out, c_skip, c_noise = _edm((sigma**2 + sigma_offset**2).sqrt(), sigma_data)
    return 1 / (sigma**2 + sigma_offset**2 + sigma_data**2), c_out, c_skip, c_noise


def sigma_not_squared(sigma, sigma_data=0.5, sigma_offset=0.3):
    total = (sigma**2 + sigma_offset**2).sqrt()
    c_in, c_out, _, c_noise = _edm(total, sigma_data)
    return c_in, c_out, sigma_data**2 / (total + sigma_data**2), c_noise


def skip_upside_down(sigma, sigma_data=0.5, sigma_offset=0.3):
    c_in, c_out, c_skip, c_noise = _edm((sigma**2 + sigma_offset**2).sqrt(), sigma_data)
    return c_in, c_out, 1 - c_skip, c_noise


def c_out_is_sigma(sigma, sigma_data=0.5, sigma_offset=0.3):
    total = (sigma**2 + sigma_offset**2).sqrt()
    c_in, _, c_skip, c_noise = _edm(total, sigma_data)
    return c_in, total, c_skip, c_noise


def c_noise_of_bare_sigma(sigma, sigma_data=0.5, sigma_offset=0.3):
    c_in, c_out, c_skip, _ = _edm((sigma**2 + sigma_offset**2).sqrt(), sigma_data)
    return c_in, c_out, c_skip, sigma.log() / 4


def c_noise_without_quarter(sigma, sigma_data=0.5, sigma_offset=0.3):
    total = (sigma**2 + sigma_offset**2).sqrt()
    return *_edm(total, sigma_data)[:3], total.log()


def constants_written_in(sigma, sigma_data=0.5, sigma_offset=0.3):
    return _edm((sigma**2 + 0.3**2).sqrt(), 0.5)


WRONG = [
    ("offset_forgotten", (offset_forgotten,), "leaves out the offset noise"),
    ("offset_added_without_squares", (offset_added_without_squares,), "root of the sum of squares"),
    ("c_in_without_root", (c_in_without_root,), "divides by a variance"),
    ("sigma_not_squared", (sigma_not_squared,), "sigma is not squared"),
    ("skip_upside_down", (skip_upside_down,), "upside down"),
    ("c_out_is_sigma", (c_out_is_sigma,), "c_out should scale the target"),
    ("c_noise_of_bare_sigma", (c_noise_of_bare_sigma,), "still uses the bare sigma"),
    ("c_noise_without_quarter", (c_noise_without_quarter,), "a quarter of the natural logarithm"),
    ("constants_written_in", (constants_written_in,), "in place of its arguments"),
]


# Right answers in other styles.


def in_float64_by_list(sigma, sigma_data=0.5, sigma_offset=0.3):
    rows = []
    for level in sigma.double().tolist():
        noise = math.hypot(level, sigma_offset)
        whole = math.hypot(noise, sigma_data)
        share = (sigma_data / whole) ** 2
        rows.append((1 / whole, noise * sigma_data / whole, share, math.log(noise) / 4))
    return tuple(torch.tensor(rows, dtype=torch.float64).T)


def with_numpy(sigma, sigma_data=0.5, sigma_offset=0.3):
    noise = np.sqrt(sigma.numpy() ** 2 + sigma_offset**2)
    whole = np.sqrt(noise**2 + sigma_data**2)
    return 1 / whole, noise * sigma_data / whole, (sigma_data / whole) ** 2, np.log(noise) / 4


def negative_roots(sigma, sigma_data=0.5, sigma_offset=0.3):
    c_in, c_out, c_skip, c_noise = with_numpy(sigma, sigma_data, sigma_offset)
    return -c_in, -c_out, c_skip, c_noise


def variance_in_place(sigma, sigma_data=0.5, sigma_offset=0.3):
    answer = with_numpy(sigma.clone(), sigma_data, sigma_offset)
    sigma.square_().add_(sigma_offset**2)
    return answer


WRONG += [
    ("negative_roots", (negative_roots,), "both are positive"),
    ("variance_in_place", (variance_in_place,), "changed its argument `sigma`"),
]


def skip_first(sigma, sigma_data=0.5, sigma_offset=0.3):
    c_in, c_out, c_skip, c_noise = with_numpy(sigma, sigma_data, sigma_offset)
    return c_skip, c_out, c_in, c_noise


WRONG += [("skip_first", (skip_first,), "in the order c_skip, c_out, c_in, c_noise")]
RIGHT = [
    ("in_float64_by_list", (in_float64_by_list,)),
    ("with_numpy", (with_numpy,)),
]
