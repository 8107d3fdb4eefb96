"""Heun's sampler and its cost, wrong and right."""

from __future__ import annotations

import torch


def steps(calls):
    return calls, (calls + 1) // 2


def _heun(denoise, x, levels, *, blend=0.5, from_guess=False, last=False, at_next=True):
    for sigma, after in zip(levels[:-1], levels[1:], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        start = x
        if after > 0 or last:
            guess = x + slope * (after - sigma)
            level = after if at_next else sigma
            again = (guess - denoise(guess, level)) / level
            slope = (1 - blend) * slope + blend * again
            start = guess if from_guess else x
        x = start + slope * (after - sigma)
    return x


def heun(denoise, x, levels):
    return _heun(denoise, x, levels)


def euler(denoise, x, levels):
    return _heun(denoise, x, levels, blend=0.0)


def second_slope_alone(denoise, x, levels):
    return _heun(denoise, x, levels, blend=1.0)


def goes_on_from_the_guess(denoise, x, levels):
    return _heun(denoise, x, levels, from_guess=True)


def second_look_at_zero(denoise, x, levels):
    return _heun(denoise, x, levels, last=True)


def second_look_at_the_old_level(denoise, x, levels):
    return _heun(denoise, x, levels, at_next=False)


def first_slope_asked_twice(denoise, x, levels):
    for sigma, after in zip(levels[:-1], levels[1:], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        if after > 0:
            guess = x + (x - denoise(x, sigma)) / sigma * (after - sigma)
            slope = (slope + (guess - denoise(guess, after)) / after) / 2
        x = x + slope * (after - sigma)
    return x


def writes_into_the_noise(denoise, x, levels):
    for sigma, after in zip(levels[:-1], levels[1:], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        if after > 0:
            guess = x + slope * (after - sigma)
            slope = (slope + (guess - denoise(guess, after)) / after) / 2
        x += slope * (after - sigma)
    return x


def two_calls_each(calls):
    return calls, calls // 2


def heun_first(calls):
    return (calls + 1) // 2, calls


def euler_halved(calls):
    return calls // 2, (calls + 1) // 2


# Right answers in other styles.


def on_its_own_copy(denoise, x, levels):
    x = x.double().clone()
    for i in range(len(levels) - 1):
        sigma, after = float(levels[i]), float(levels[i + 1])
        ahead = denoise(x, sigma)
        guess = ahead + (x - ahead) * (after / sigma)
        if after == 0:
            x.copy_(guess)
        else:
            slopes = torch.stack([(x - ahead) / sigma, (guess - denoise(guess, after)) / after])
            x += slopes.mean(0) * (after - sigma)
    return x


def counted_in_a_loop(calls):
    count = 0
    while 2 * (count + 1) - 1 <= calls:
        count += 1
    return [calls, count]


WRONG = [
    ("euler", (euler, steps), "Euler's sampler still"),
    ("second_slope_alone", (second_slope_alone, steps), "second slope alone"),
    ("goes_on_from_the_guess", (goes_on_from_the_guess, steps), "step sets out from the guess"),
    ("second_look_at_zero", (second_look_at_zero, steps), "called at sigma = 0"),
    ("second_look_at_the_old_level", (second_look_at_the_old_level, steps), "*next* step"),
    ("first_slope_asked_twice", (first_slope_asked_twice, steps), "then the second look at"),
    ("writes_into_the_noise", (writes_into_the_noise, steps), "changed its argument `x`"),
    ("two_calls_each", (heun, two_calls_each), "2n - 1 times"),
    ("heun_first", (heun, heun_first), "the two numbers are exchanged"),
    ("euler_halved", (heun, euler_halved), "of Euler's steps, one call each"),
]
RIGHT = [("on_its_own_copy", (on_its_own_copy, counted_in_a_loop))]
