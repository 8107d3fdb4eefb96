"""A flow with a noise level for each frame, wrong."""

from __future__ import annotations

import numpy as np
import torch


def noisy(x, eps, t):
    t = t[..., None, None, None]
    return (1 - t) * x + t * eps


def euler(z, x_hat, t, t_next):
    share = torch.where(t > 0, t_next / t.clamp(min=1e-8), 1.0)
    return x_hat + share[..., None, None, None] * (z - x_hat)


def wide(t):
    return t[..., None, None, None]


def time_reversed(x, eps, t):
    return wide(t) * x + (1 - wide(t)) * eps


def noise_added(x, eps, t):
    return x + wide(t) * eps


def one_level_for_all(x, eps, t):
    t = wide(t[:, :1])
    return (1 - t) * x + t * eps


def away(z, x_hat, t, t_next):
    return z - wide((t_next - t) / t) * (z - x_hat)


def not_divided(z, x_hat, t, t_next):
    return z + wide(t_next - t) * (z - x_hat)


def jumps(z, x_hat, t, t_next):
    return x_hat


def not_a_number(z, x_hat, t, t_next):
    return z + wide((t_next - t) / t) * (z - x_hat)


def given_are_replaced(z, x_hat, t, t_next):
    return x_hat + wide(t_next / t.clamp(min=1e-8)) * (z - x_hat)


def given_as_in_the_first(z, x_hat, t, t_next):
    given, out = t[0] == 0, given_are_replaced(z, x_hat, t, t_next)
    out[:, given] = z[:, given]
    return out


def given_in_any(z, x_hat, t, t_next):
    given, out = (t == 0).any(0), given_are_replaced(z, x_hat, t, t_next)
    out[:, given] = z[:, given]
    return out


def given_in_all(z, x_hat, t, t_next):
    given = (t == 0).all(0)[:, None, None, None]
    return torch.where(given, z, not_a_number(z, x_hat, t, t_next))


def halfway(z, x_hat, t, t_next):
    return x_hat + 0.25 * (z - x_hat)


def always_half(z, x_hat, t, t_next):
    return torch.where(wide(t) > 0, x_hat + 0.5 * wide((t_next > 0).to(z)) * (z - x_hat), z)


def levels(steps, frames, given, shift):
    t = torch.linspace(1, 0, steps + 1)
    out = (shift * t / (1 + (shift - 1) * t))[:, None].repeat(1, frames)
    out[:, :given] = 0.0
    return out


def rising(steps, frames, given, shift):
    return levels(steps, frames, given, shift).flip(0)


def not_shifted(steps, frames, given, shift):
    return levels(steps, frames, given, 1.0)


def nothing_given(steps, frames, given, shift):
    return levels(steps, frames, 0, shift)


def shifted_to_clean(steps, frames, given, shift):
    return levels(steps, frames, given, 1 / shift)


WRONG = [
    ("time_reversed", (time_reversed, euler, levels), "time runs the other way"),
    ("noise_added", (noise_added, euler, levels), "without fading the video out"),
    ("one_level_for_all", (one_level_for_all, euler, levels), "each frame with its own t"),
    ("away", (noisy, away, levels), "away from the estimate"),
    ("not_divided", (noisy, not_divided, levels), "not divided by t"),
    ("jumps", (noisy, jumps, levels), "jumps to the estimate"),
    ("halfway", (noisy, halfway, levels), "with the velocity v"),
    ("not_a_number", (noisy, not_a_number, levels), "0 / 0 is NaN"),
    (
        "given_are_replaced",
        (noisy, given_are_replaced, levels),
        "not become the network's estimate",
    ),
    (
        "given_as_in_the_first",
        (noisy, given_as_in_the_first, levels),
        "each sample has its own given frames",
    ),
    ("rising", (noisy, euler, rising), "the levels rise"),
    ("not_shifted", (noisy, euler, not_shifted), "evenly spaced"),
    ("nothing_given", (noisy, euler, nothing_given), "should have level 0 at every step"),
    ("shifted_to_clean", (noisy, euler, shifted_to_clean), "each level should be shift"),
]


def noisy_by_lerp(x, eps, t):
    return torch.lerp(x, eps, wide(t).expand_as(x).to(x.dtype))


def euler_by_velocity(z, x_hat, t, t_next):
    out = z.clone()
    for b in range(len(z)):
        for k in range(z.shape[1]):
            if t[b, k] > 0:
                velocity = (z[b, k] - x_hat[b, k]) / t[b, k]
                out[b, k] = z[b, k] + (t_next[b, k] - t[b, k]) * velocity
    return out


def noisy_in_double(x, eps, t):
    return noisy(x.double(), eps.double(), t.double())


def euler_in_double(z, x_hat, t, t_next):
    return euler(z.double(), x_hat.double(), t.double(), t_next.double())


def levels_by_loops(steps, frames, given, shift):
    rows = []
    for k in range(steps, -1, -1):
        t = k / steps
        level = shift * t / (1 + (shift - 1) * t)
        rows.append([0.0 if frame < given else level for frame in range(frames)])
    return torch.tensor(rows)


def levels_with_numpy(steps, frames, given, shift):
    t = 1 - np.arange(steps + 1) / steps
    free = np.arange(frames) >= given
    return np.outer(shift * t / (1 + (shift - 1) * t), free)


RIGHT = [
    ("lerp and loops", (noisy_by_lerp, euler_by_velocity, levels_by_loops)),
    ("in_double", (noisy_in_double, euler_in_double, levels_with_numpy)),
]

ALSO = [
    ("given_in_any", (noisy, given_in_any, levels), "each sample has its own given frames"),
    ("given_in_all", (noisy, given_in_all, levels), "each sample has its own given frames"),
    ("always_half", (noisy, always_half, levels), "with the velocity v"),
]
