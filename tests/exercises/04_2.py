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
    ("in_place", (levels, in_place), "changed its argument `x` in place"),
    ("heun", (levels, heun), "one for each step"),
]


# Right answers in other styles.


def levels_in_a_loop(num_steps, sigma_min=2e-3, sigma_max=5.0, rho=7.0):
    made = []
    for i in range(num_steps):
        share = i / (num_steps - 1) if num_steps > 1 else 0.0
        root = (1 - share) * sigma_max ** (1 / rho) + share * sigma_min ** (1 / rho)
        made.append(root**rho)
    return torch.tensor([*made, 0.0], dtype=torch.float64)


def sampler_on_its_own_copy(denoise, x, levels):
    x = x.clone()
    for i in range(len(levels) - 1):
        ratio = levels[i + 1] / levels[i]
        x *= ratio
        x += (1 - ratio) * denoise(x / ratio if ratio else x, levels[i])
    return x


def sampler_by_interpolation(denoise, x, levels):
    levels = [float(level) for level in levels]
    for now, after in zip(levels, levels[1:], strict=False):
        clean = denoise(x, now)
        x = clean + after / now * (x - clean)
    return x


def constants_in_the_schedule(num_steps, sigma_min=2e-3, sigma_max=5.0, rho=7.0):
    return levels(num_steps, 2e-3, sigma_max, 7.0 if rho == 7 else rho)


def one_level_for_all(denoise, x, levels):
    first = levels[0]
    for sigma, after in zip(levels[:-1], levels[1:], strict=True):
        x = x + (x - denoise(x, first)) / sigma * (after - sigma)
    return x


WRONG += [
    ("constants_in_the_schedule", (constants_in_the_schedule, sampler), "numbers written into"),
    ("one_level_for_all", (levels, one_level_for_all), "its x has noise 1"),
]
RIGHT = [
    ("levels_in_a_loop", (levels_in_a_loop, sampler_by_interpolation)),
]
