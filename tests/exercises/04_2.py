"""The noise schedule and an Euler sampler, wrong."""

from __future__ import annotations

import torch


def levels(num_steps, sigma_min=2e-3, sigma_max=5.0, rho=7.0):
    """A right one, to go with the wrong samplers."""
    ramp = torch.linspace(0, 1, num_steps)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1)])


def sampler(denoise, x, levels):
    """A right one, to go with the wrong schedules."""
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        x = x + (x - denoise(x, sigma)) / sigma * (sigma_next - sigma)
    return x


def no_final_zero(*args):
    return levels(*args)[:-1]


def rising(*args):
    return levels(*args).flip(0)


def linear(num_steps, sigma_min=2e-3, sigma_max=5.0, rho=7.0):
    return torch.cat([torch.linspace(sigma_max, sigma_min, num_steps), torch.zeros(1)])


def never_reaches_the_minimum(num_steps, sigma_min=2e-3, sigma_max=5.0, rho=7.0):
    ramp = torch.arange(num_steps) / num_steps
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1)])


def step_backwards(denoise, x, levels):
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        x = x + (x - denoise(x, sigma)) / sigma * (sigma - sigma_next)
    return x


def next_level_asked(denoise, x, levels):
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        x = x + (x - denoise(x, sigma_next)) / sigma * (sigma_next - sigma)
    return x


def jumps_to_the_estimate(denoise, x, levels):
    for sigma in levels[:-1]:
        x = denoise(x, sigma)
    return x


def in_place(denoise, x, levels):
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        x += (x - denoise(x, sigma)) / sigma * (sigma_next - sigma)
    return x


def heun(denoise, x, levels):
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        euler = x + slope * (sigma_next - sigma)
        if sigma_next > 0:
            slope = (slope + (euler - denoise(euler, sigma_next)) / sigma_next) / 2
        x = x + slope * (sigma_next - sigma)
    return x


WRONG = [
    ("no_final_zero", (no_final_zero, sampler), "no final 0"),
    ("rising", (rising, sampler), "should fall"),
    ("linear", (linear, sampler), "equal in sigma**(1/rho)"),
    ("never_reaches_the_minimum", (never_reaches_the_minimum, sampler), "come to sigma_min"),
    ("step_backwards", (levels, step_backwards), "run away from the data"),
    ("next_level_asked", (levels, next_level_asked), "called at sigma = 0"),
    ("jumps_to_the_estimate", (levels, jumps_to_the_estimate), "the second step went wrong"),
    ("in_place", (levels, in_place), "works in place"),
    ("heun", (levels, heun), "one for each step"),
]

VISIBLE_ONLY = {"heun", "in_place"}  # right in value: the hidden tests look at values
