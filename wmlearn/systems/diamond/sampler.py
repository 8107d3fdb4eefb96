"""Drawing frames from a denoiser: EDM's deterministic Euler and Heun samplers.

Karras et al. 2022, algorithm 1; without its second half, Euler's method, as DIAMOND draws.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wmlearn.systems.diamond.config import SamplerConfig
from wmlearn.systems.diamond.denoiser import Denoiser


def noise_levels(config: SamplerConfig) -> Tensor:
    """sigma_0 > ... > sigma_{N-1} > sigma_N = 0 (EDM eq. 5), float32 ``[num_steps + 1]``."""
    ramp = torch.linspace(0, 1, config.num_steps)
    high, low = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
    return torch.cat([(high + ramp * (low - high)) ** config.rho, torch.zeros(1)])


@torch.no_grad()
def sample(
    denoiser: Denoiser, context: Tensor, actions: Tensor, noise: Tensor, config: SamplerConfig
) -> Tensor:
    """Draws the next frame by integrating the probability-flow ODE from noise to data.

    Args:
        denoiser: D_theta.
        context: [B, n, C, H, W] past frames in [-1, 1].
        actions: [B, n] int64, the last one is the action taken now.
        noise: [B, C, H, W] standard normal; the only randomness there is.
        config: steps, order and noise levels.

    Returns:
        The next frame [B, C, H, W] in [-1, 1].
    """
    x = noise * config.initial_scale
    levels = noise_levels(config).tolist()
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        denoised = denoiser.denoise(x, x.new_full(x.shape[:1], sigma), context, actions)
        slope = (x - denoised) / sigma  # dx / dsigma
        euler = x + slope * (sigma_next - sigma)
        if config.order == 1 or sigma_next == 0:
            x = euler
        else:
            at_next = x.new_full(x.shape[:1], sigma_next)
            denoised = denoiser.denoise(euler, at_next, context, actions)
            slope_next = (euler - denoised) / sigma_next
            x = x + (slope + slope_next) / 2 * (sigma_next - sigma)
    return x + denoiser.base(context)
