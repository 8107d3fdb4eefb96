"""v, and the way back from it, wrong."""

from __future__ import annotations

import torch


def target(x, eps, alpha, sigma):
    """A right one, to go with wrong ways back."""
    return alpha * eps - sigma * x


def back(z, v, alpha, sigma):
    """A right one, to go with wrong targets."""
    return alpha * z - sigma * v, sigma * z + alpha * v


def other_sign(x, eps, alpha, sigma):
    return alpha * eps + sigma * x


def noise_alone(x, eps, alpha, sigma):
    return eps


def swapped_coefficients(x, eps, alpha, sigma):
    return sigma * eps - alpha * x


def flow(x, eps, alpha, sigma):
    return eps - x


def wrong_order(*args):
    return back(*args)[::-1]


def divides_by_alpha(z, v, alpha, sigma):
    return (z - sigma * v) / alpha.clamp(min=1e-6), sigma * z + alpha * v


def plus_v(z, v, alpha, sigma):
    return alpha * z + sigma * v, sigma * z + alpha * v


def noise_with_minus(z, v, alpha, sigma):
    return alpha * z - sigma * v, sigma * z - alpha * v


def only_the_sample(z, v, alpha, sigma):
    return alpha * z - sigma * v


def in_place(z, v, alpha, sigma):
    eps = sigma * z + alpha * v
    z *= alpha
    return z - sigma * v, eps


WRONG = [
    ("other_sign", (other_sign, back), "mind the sign"),
    ("flow", (flow, back), "v should be the noise"),
    ("wrong_order", (target, wrong_order), "wrong order"),
    ("divides_by_alpha", (target, divides_by_alpha), "alpha z - sigma v"),
    ("noise_with_minus", (target, noise_with_minus), "sigma z + alpha v"),
    ("only_the_sample", (target, only_the_sample), "two tensors"),
    ("in_place", (target, in_place), "changed its argument"),
]
ALSO = [
    ("noise_alone", (noise_alone, back), "should be -x"),
    ("swapped_coefficients", (swapped_coefficients, back), "v should be the noise"),
    ("plus_v", (target, plus_v), "alpha z - sigma v"),
]


# Right answers in other styles.


def with_numpy(x, eps, alpha, sigma):
    return alpha.numpy() * eps.numpy() - sigma.numpy() * x.numpy()


def as_a_rotation(z, v, alpha, sigma):
    turn = torch.stack([torch.cat([alpha, -sigma], 1), torch.cat([sigma, alpha], 1)], 1)
    return tuple(torch.einsum("nij,njk->ink", turn.double(), torch.stack([z, v], 1).double()))


RIGHT = [
    ("with_numpy", (with_numpy, back)),
    ("as_a_rotation", (target, as_a_rotation)),
]
