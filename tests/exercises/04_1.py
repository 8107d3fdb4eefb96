"""EDM's four coefficients, wrong."""

from __future__ import annotations


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
