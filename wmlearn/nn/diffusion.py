"""Diffusion, once for all parameterizations: paths, predictions, noise levels, one sampler.

A noisy sample is a mixture of data and noise (Kingma et al. 2021; Karras et al. 2022, "EDM"),

    z = alpha(t) x + sigma(t) eps,        eps ~ N(0, 1).                                       (1)

A *path* is the pair (alpha, sigma). A *prediction* says what the network's output F stands for:
another mixture, F = a(t) x + b(t) eps. Equation 1 and F are two linear equations in x and eps, so
the estimate of the clean sample follows for every path and every prediction from one formula:

    x_hat = c_skip z + c_out F,    c_skip = b / (alpha b - sigma a),
                                   c_out = -sigma / (alpha b - sigma a).                       (2)

The sampler needs x_hat and nothing else. With eps_hat = (z - alpha x_hat) / sigma, a step is

    z' = alpha' x_hat + sigma' eps_hat:                                                        (3)

EDM's Euler step, rectified flow's Euler step, and DDIM (Song et al. 2020) are all this line.

Legend: x clean, eps noise, z noisy, each ``[B, ...]``; t noise level ``[B]``, or ``[B, T]`` with a
level for each frame of ``[B, T, ...]``. The path defines the unit of t; t = 0 is clean in all of
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]  # (z [B, ...], t [B] or [B, T]) -> x_hat [B, ...]


def expand_to(level: Tensor, x: Tensor) -> Tensor:
    """``[B]`` or ``[B, T]`` -> the same with axes of 1 up to those of ``x`` ``[B, (T,) ...]``."""
    return level.view(*level.shape, *[1] * (x.ndim - level.ndim))


# --- paths: how data and noise are mixed ----------------------------------------------------------


class Path:
    """alpha and sigma of equation 1, as functions of the noise level; both keep its shape."""

    def alpha(self, level: Tensor) -> Tensor:
        raise NotImplementedError

    def sigma(self, level: Tensor) -> Tensor:
        raise NotImplementedError

    def mix(self, x: Tensor, eps: Tensor, level: Tensor) -> Tensor:
        """The noisy sample of equation 1."""
        alpha, sigma = self.alpha(level), self.sigma(level)
        return expand_to(alpha, x) * x + expand_to(sigma, x) * eps

    def snr(self, level: Tensor) -> Tensor:
        """Signal-to-noise ratio alpha^2 / sigma^2, for data of unit variance."""
        return (self.alpha(level) / self.sigma(level)).square()


@dataclass(frozen=True)
class VarianceExploding(Path):
    """z = x + t eps: the level is the noise's standard deviation (EDM; Karras et al. 2022)."""

    def alpha(self, level: Tensor) -> Tensor:
        return torch.ones_like(level)

    def sigma(self, level: Tensor) -> Tensor:
        return level


@dataclass(frozen=True)
class RectifiedFlow(Path):
    """z = (1 - t) x + t eps: a straight line from data, t = 0, to noise, t = 1 (Liu et al. 2022).

    Papers on flow matching often count time the other way round.
    """

    def alpha(self, level: Tensor) -> Tensor:
        return 1 - level

    def sigma(self, level: Tensor) -> Tensor:
        return level


@dataclass(frozen=True)
class Cosine(Path):
    """z = cos(pi t / 2) x + sin(pi t / 2) eps, t in 0..1: variance preserving.

    Nichol & Dhariwal 2021, without their small offset.
    """

    def alpha(self, level: Tensor) -> Tensor:
        return (level * (math.pi / 2)).cos()

    def sigma(self, level: Tensor) -> Tensor:
        return (level * (math.pi / 2)).sin()


@dataclass(frozen=True, eq=False)
class DiscreteVP(Path):
    """Variance preserving, from a table of K levels (DDPM; Ho et al. 2020).

    Level k in 0..K has seen k steps of noise: 0 is clean, K the noisiest. What the published tables
    call timestep n, counted from 0, is level n + 1. Levels between two whole numbers are rounded.

    Args:
        alphas_cumprod: ``[K]``, alpha^2 after each step, falling; the last may be 0.
    """

    alphas_cumprod: Tensor
    _table: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod])
        object.__setattr__(self, "_table", table)

    def alpha(self, level: Tensor) -> Tensor:
        return self._squared(level).sqrt()

    def sigma(self, level: Tensor) -> Tensor:
        return (1 - self._squared(level)).sqrt()

    def _squared(self, level: Tensor) -> Tensor:
        return self._table.to(level.device)[level.round().long()]


def scaled_linear(steps: int = 1000, first: float = 0.00085, last: float = 0.012) -> Tensor:
    """``alphas_cumprod`` ``[steps]`` for betas linear in their root (Rombach et al. 2022)."""
    betas = torch.linspace(first**0.5, last**0.5, steps).square()
    return (1 - betas).cumprod(0)


def zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """The same table, stretched so that its last level is pure noise (Lin et al. 2023)."""
    root = alphas_cumprod.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()


# --- predictions: what the network is asked for ---------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """What a network's output F = a x + b eps means; see equation 2.

    Attributes:
        path: how data and noise are mixed.
    """

    path: Path

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """a and b of F = a x + b eps, each of the level's shape."""
        raise NotImplementedError

    def c_in(self, level: Tensor) -> Tensor:
        """Factor of z before the network sees it."""
        return torch.ones_like(level)

    def c_noise(self, level: Tensor) -> Tensor:
        """What the network is told of the noise level."""
        return level

    def coefficients(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """c_skip and c_out of x_hat = c_skip z + c_out F, each of the level's shape."""
        (a, b), alpha, sigma = self.weights(level), self.path.alpha(level), self.path.sigma(level)
        determinant = alpha * b - sigma * a
        return b / determinant, -sigma / determinant

    def target(self, x: Tensor, eps: Tensor, level: Tensor) -> Tensor:
        """Target of F: a x + b eps."""
        a, b = self.weights(level)
        return expand_to(a, x) * x + expand_to(b, x) * eps

    def x_hat(self, output: Tensor, z: Tensor, level: Tensor) -> Tensor:
        """The estimate of the clean sample, from the network's ``output`` for ``z``."""
        c_skip, c_out = self.coefficients(level)
        return expand_to(c_skip, z) * z + expand_to(c_out, z) * output


@dataclass(frozen=True)
class XPrediction(Prediction):
    """F = x, the clean sample itself."""

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(level), torch.zeros_like(level)

    def coefficients(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(level), torch.ones_like(level)  # at sigma = 0, too


@dataclass(frozen=True)
class EpsilonPrediction(Prediction):
    """F = eps, the noise (DDPM; Ho et al. 2020). Not defined where alpha is 0."""

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(level), torch.ones_like(level)


@dataclass(frozen=True)
class VPrediction(Prediction):
    """F = v = alpha eps - sigma x (Salimans & Ho 2022)."""

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return -self.path.sigma(level), self.path.alpha(level)


@dataclass(frozen=True)
class FlowPrediction(Prediction):
    """F = u = eps - x: the velocity dz/dt along rectified flow's line (Lipman et al. 2022)."""

    path: Path = RectifiedFlow()

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(level), torch.ones_like(level)


@dataclass(frozen=True)
class EDM(Prediction):
    """Input and target of unit variance at every noise level (Karras et al. 2022, table 1).

    F = (sigma x / sigma_data - sigma_data eps) / sqrt(sigma^2 + sigma_data^2), which is (up to its
    sign) the v-prediction of x / sigma_data.

    Attributes:
        sigma_data: standard deviation of the data.
    """

    path: Path = VarianceExploding()
    sigma_data: float = 0.5

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        sigma, scale = self.path.sigma(level), self.c_in(level)
        return sigma / self.sigma_data * scale, -self.sigma_data * scale

    def c_in(self, level: Tensor) -> Tensor:
        return (self.path.sigma(level) ** 2 + self.sigma_data**2).rsqrt()

    def c_noise(self, level: Tensor) -> Tensor:
        return self.path.sigma(level).log() / 4


# --- noise levels in training: from standard normal numbers ---------------------------------------


@dataclass(frozen=True)
class LogNormal:
    """log t ~ N(loc, scale^2), cut to low..high (EDM: P_mean and P_std)."""

    loc: float = -1.2
    scale: float = 1.2
    low: float = 2e-3
    high: float = 80.0

    def __call__(self, normal: Tensor) -> Tensor:
        return (normal * self.scale + self.loc).exp().clamp(self.low, self.high)


@dataclass(frozen=True)
class LogitNormal:
    """logit t ~ N(loc, scale^2), so t is in 0..1 (Esser et al. 2024, section 3.1)."""

    loc: float = 0.0
    scale: float = 1.0

    def __call__(self, normal: Tensor) -> Tensor:
        return (normal * self.scale + self.loc).sigmoid()


@dataclass(frozen=True)
class Uniform:
    """t uniform in low..high."""

    low: float = 0.0
    high: float = 1.0

    def __call__(self, normal: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * torch.special.ndtr(normal)


# --- weights of the squared error of x_hat, by noise level ----------------------------------------


def output_weight(prediction: Prediction, level: Tensor, least: float = 0.0) -> Tensor:
    """1 / c_out^2: with it, the error of x_hat counts like the error of F.

    A network that predicts x can so be trained with the loss of another prediction; for the
    velocity of rectified flow this is 1 / t^2. ``least`` bounds \\|c_out\\| from below.
    """
    _, c_out = prediction.coefficients(level)
    return c_out.abs().clamp(min=least).square().reciprocal()


def min_snr_weight(path: Path, level: Tensor, gamma: float = 5.0) -> Tensor:
    """min(SNR, gamma): nearly clean samples do not drown the others (Hang et al. 2023)."""
    return path.snr(level).clamp(max=gamma)


def ramp_weight(level: Tensor, least: float = 0.1) -> Tensor:
    """From 1 for clean samples, t = 0, down to ``least`` for noise, t = 1 (Hafner et al. 2025)."""
    return 1 - (1 - least) * level


# --- schedules: the levels that a sampler visits, noisiest first, then 0 --------------------------


def karras_schedule(
    num_steps: int, low: float = 2e-3, high: float = 80.0, rho: float = 7.0
) -> Tensor:
    """``[num_steps + 1]``: equal steps in sigma^(1 / rho), then 0 (EDM, equation 5)."""
    ramp = torch.linspace(0, 1, num_steps)
    first, last = high ** (1 / rho), low ** (1 / rho)
    return torch.cat([(first + ramp * (last - first)) ** rho, torch.zeros(1)])


def linear_schedule(num_steps: int, high: float = 1.0) -> Tensor:
    """``[num_steps + 1]``: equal steps from ``high`` to 0.

    From K down it is the "trailing" spacing of :class:`DiscreteVP`'s levels (Lin et al. 2023).
    """
    return torch.linspace(high, 0, num_steps + 1)


def shifted(levels: Tensor, shift: float) -> Tensor:
    """Levels in 0..1 moved towards noise: shift t / (1 + (shift - 1) t) (Esser et al. 2024).

    The larger a picture, the more noise hides the same detail; so larger ones take a larger shift.
    """
    return shift * levels / (1 + (shift - 1) * levels)


# --- sampling -------------------------------------------------------------------------------------


def step(
    path: Path,
    z: Tensor,
    x_hat: Tensor,
    level: Tensor,
    next_level: Tensor,
    noise: Tensor | None = None,
    eta: float = 1.0,
) -> Tensor:
    """Equation 3: from ``level`` to the lower ``next_level``; where they are equal, z stays.

    Args:
        path: how data and noise are mixed.
        z: ``[B, ...]``, the noisy sample.
        x_hat: ``[B, ...]``, the estimate of the clean one.
        level: ``[B]`` or ``[B, T]``.
        next_level: likewise.
        noise: ``[B, ...]`` of unit variance makes the step stochastic: part of eps_hat is replaced
            by it (DDIM, equation 16; eta = 1 is DDPM's ancestral step).
        eta: how much of what may be replaced.

    Returns:
        ``[B, ...]``, the sample at ``next_level``.
    """
    alpha, sigma = path.alpha(level), path.sigma(level)
    next_alpha, next_sigma = path.alpha(next_level), path.sigma(next_level)
    keep = torch.where(sigma > 0, next_sigma / sigma, 1.0)  # of alpha x + sigma eps_hat - alpha x
    if noise is not None:
        fresh = eta * (1 - (alpha * keep / next_alpha).square()).clamp(min=0).sqrt()
        keep = keep * (1 - fresh.square()).sqrt()
    z = expand_to(next_alpha, z) * x_hat + expand_to(keep, z) * (z - expand_to(alpha, z) * x_hat)
    return z if noise is None else z + expand_to(next_sigma * fresh, z) * noise


def heun_step(
    path: Path, denoise: Denoise, z: Tensor, x_hat: Tensor, level: Tensor, next_level: Tensor
) -> Tensor:
    """Heun's second-order step (EDM, algorithm 1): eps_hat is the mean of those at both ends.

    Arguments as :func:`step`; alpha must not be 0 at ``level``, nor sigma at ``next_level``.
    """
    alpha, sigma = (expand_to(f(level), z) for f in (path.alpha, path.sigma))
    next_alpha, next_sigma = (expand_to(f(next_level), z) for f in (path.alpha, path.sigma))
    euler = step(path, z, x_hat, level, next_level)
    eps = (z - alpha * x_hat) / sigma
    next_eps = (euler - next_alpha * denoise(euler, next_level)) / next_sigma
    eps = (eps + next_eps) / 2
    return next_alpha * (z - sigma * eps) / alpha + next_sigma * eps


@torch.no_grad()
def sample(denoise: Denoise, path: Path, z: Tensor, levels: Tensor, order: int = 1) -> Tensor:
    """Integrates the probability-flow ODE from noise to data.

    Args:
        denoise: ``denoise(z, level) -> x_hat``, with ``level`` ``[B]`` (or ``[B, T]``).
        path: how data and noise are mixed.
        z: ``[B, ...]``, a sample of the first level's noise; the only randomness there is.
        levels: ``[N + 1]``, falling to 0 (or ``[N + 1, T]``, a schedule for each frame).
        order: 1 for Euler's method, one call of ``denoise`` a step; 2 for Heun's, two calls in
            every step but the last.

    Returns:
        ``[B, ...]``, the clean sample.
    """
    steps = levels.to(z.device).unbind(0)
    steps = [level.expand(len(z), *level.shape) for level in steps]
    for i, (level, next_level) in enumerate(zip(steps[:-1], steps[1:], strict=True)):
        x_hat = denoise(z, level)
        if order == 2 and i + 2 < len(steps):
            z = heun_step(path, denoise, z, x_hat, level, next_level)
        else:
            z = step(path, z, x_hat, level, next_level)
    return z


def guided(denoise: Denoise, scale: float) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022): x_hat is moved away from the unconditional.

    Both estimates come from one call: ``denoise`` gets every sample twice, ``[2 B, ...]``, and must
    condition the first half only. As x_hat is linear in F at a given z, guiding x_hat is the same
    as guiding the noise or the velocity.

    Args:
        denoise: the estimate of ``[2 B, ...]``.
        scale: 0 unconditional, 1 conditional, above 1 beyond it.
    """

    def both(z: Tensor, level: Tensor) -> Tensor:
        with_it, without = denoise(torch.cat([z, z]), torch.cat([level, level])).chunk(2)
        return without + scale * (with_it - without)

    return both
