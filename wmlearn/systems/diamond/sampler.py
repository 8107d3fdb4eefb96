"""Drawing frames from a denoiser: EDM's deterministic Euler and Heun samplers.

Karras et al. 2022, algorithm 1; without its second half, Euler's method, as DIAMOND draws.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wmlearn.nn import diffusion
from wmlearn.systems.diamond.config import SamplerConfig
from wmlearn.systems.diamond.denoiser import Denoiser


def noise_levels(config: SamplerConfig) -> Tensor:
    """sigma_0 > ... > sigma_{N-1} > sigma_N = 0 (EDM eq. 5), float32 ``[num_steps + 1]``."""
    return diffusion.karras_schedule(
        config.num_steps, config.sigma_min, config.sigma_max, config.rho
    )


@torch.no_grad()
def sample(
    denoiser: Denoiser, context: Tensor, actions: Tensor, noise: Tensor, config: SamplerConfig
) -> Tensor:
    """Draws the next frame by integrating the probability-flow ODE from noise to data.

    Args:
        denoiser: D_theta.
        context: [B, n, C, H, W] past frames in [-1, 1].
        actions: [B, n, ...], the last one is the action taken now.
        noise: [B, C, H, W] standard normal; the only randomness there is.
        config: steps, order and noise levels.

    Returns:
        The next frame [B, C, H, W] in [-1, 1].
    """

    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        return denoiser.denoise(noisy, sigma, context, actions)

    x = noise * config.initial_scale
    path = diffusion.VarianceExploding()
    x = diffusion.sample(denoise, path, x, noise_levels(config), config.order)
    return x + denoiser.base(context)
