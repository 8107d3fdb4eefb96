"""DIAMOND's diffusion model of the next frame (Alonso et al. 2024, section 3).

Shapes: B batch, n context frames, C channels, H x W pixels. Frames are float in [-1, 1].
Equation numbers are those of EDM (Karras et al. 2022), whose preconditioning the paper takes over.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.actions import action_embedding
from wmlearn.nn.blocks import FourierFeatures, conv3x3, group_norm, padded
from wmlearn.nn.diffusion import LogNormal, expand_to
from wmlearn.nn.masked import masked_mean
from wmlearn.nn.unet import UNet
from wmlearn.pixels import quantize
from wmlearn.systems.diamond.config import DenoiserConfig, side_unit
from wmlearn.systems.diamond.objective import BASES, OBJECTIVES

FRAME_STD = 0.5  # of context frames in [-1, 1]; the paper's sigma_data
Noise = Callable[..., Tensor]  # noise(*shape) -> standard normal


class InnerModel(nn.Module):
    """F_theta: noisy next frame, context frames and actions -> the preconditioned target."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        n, p, cond = config.context_frames, config.patch_size, config.cond_channels
        pixels = config.image_channels * p * p
        self.unit = side_unit(config)
        self.noise_embedding = FourierFeatures(cond)
        self.action_embedding = action_embedding(
            cond // n, config.num_actions, config.action_bounds
        )
        self.cond_projection = nn.Sequential(
            nn.Linear(cond, cond), nn.SiLU(), nn.Linear(cond, cond)
        )
        self.to_patches = nn.PixelUnshuffle(p) if p > 1 else nn.Identity()
        self.conv_in = conv3x3((n + 1) * pixels, config.channels[0])
        self.unet = UNet(config.depths, config.channels, config.attention, cond)
        self.norm_out = group_norm(config.channels[0])
        self.conv_out = conv3x3(config.channels[0], pixels)
        self.to_pixels = nn.PixelShuffle(p) if p > 1 else nn.Identity()
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, noisy: Tensor, c_noise: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        """Takes [B, C, H, W], [B], [B, n * C, H, W] and actions [B, n, ...]; gives [B, C, H, W]."""
        action_embedding = self.action_embedding(actions).flatten(1)
        cond = self.cond_projection(self.noise_embedding(c_noise) + action_embedding)
        x = self.conv_in(self.to_patches(padded(torch.cat([context, noisy], dim=1), self.unit)))
        x = self.unet(x, cond)
        frame = self.to_pixels(self.conv_out(F.silu(self.norm_out(x))))
        return frame[..., : noisy.shape[-2], : noisy.shape[-1]]


class Denoiser(nn.Module):
    """D_theta(x; sigma, context): the estimate of the clean next frame (eq. 7)."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.inner_model = InnerModel(config)
        self.objective = OBJECTIVES[config.objective](sigma_data=config.sigma_data)
        self.sigmas = LogNormal(
            config.sigma_loc, config.sigma_scale, config.sigma_min, config.sigma_max
        )

    def base(self, context: Tensor) -> Tensor:
        """What the diffused variable is counted from, [B, C, H, W]: nothing, or the last frame."""
        return BASES[self.config.predict](context[:, -1])

    def noise_level(self, sigma: Tensor) -> Tensor:
        """[B] -> standard deviation [B] of all the noise on a pixel, the offset noise included."""
        return (sigma**2 + self.config.sigma_offset_noise**2).sqrt()

    def inner_output(
        self, noisy: Tensor, level: Tensor, context: Tensor, actions: Tensor
    ) -> Tensor:
        """F_theta(c_in * x; c_noise, context), for noise of standard deviation ``level`` [B]."""
        scaled = noisy * expand_to(self.objective.c_in(level), noisy)
        past = context.flatten(1, 2) / FRAME_STD
        return self.inner_model(scaled, self.objective.c_noise(level), past, actions)

    def estimate(self, noisy: Tensor, sigma: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        """The clean frame before quantization (eq. 7): c_skip * x + c_out * F_theta.

        Args:
            noisy: [B, C, H, W], the noisy frame, or the noisy change.
            sigma: [B], its noise level.
            context: [B, n, C, H, W], past frames.
            actions: [B, n, ...]; the last one is the action taken now.
        """
        level = self.noise_level(sigma)
        output = self.inner_output(noisy, level, context, actions)
        return self.base(context) + self.objective.x_hat(output, noisy, level)

    def denoise(self, noisy: Tensor, sigma: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        """The clean diffused variable; the frame in it has 8 bits. Arguments as ``estimate``."""
        estimate, last = self.estimate(noisy, sigma, context, actions), context[:, -1]
        change = (estimate - last).abs().amax(dim=1, keepdim=True)
        moves = change >= self.config.still_below / 127.5
        return torch.where(moves, quantize(estimate), last) - self.base(context)

    def loss(
        self, frames: Tensor, actions: Tensor, noise: Noise, real: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Denoising score matching (eq. 8), each frame after the context in turn.

        From the second frame on, the context holds the model's own estimates, as at play time.

        Args:
            frames: [B, n + k, C, H, W] in [-1, 1].
            actions: [B, n + k - 1, ...].
            noise: draws standard normal noise of a given shape.
            real: bool [B, n + k], false for frames that are padding and shall not be learned.

        Returns:
            The mean loss, and the frames' estimates [B, k, C, H, W] without gradient.
        """
        n, batch, channels = self.config.context_frames, len(frames), frames.shape[2]
        context, estimates, losses = frames[:, :n], [], []
        for t in range(n, frames.shape[1]):
            clean = frames[:, t] - self.base(context)
            sigma = self.sigmas(noise(batch))
            added = expand_to(sigma, clean) * noise(*clean.shape)
            added = added + self.config.sigma_offset_noise * noise(batch, channels, 1, 1)
            noisy, level = clean + added, self.noise_level(sigma)

            output = self.inner_output(noisy, level, context, actions[:, t - n : t])
            target = self.objective.target(clean, added / expand_to(level, added), level)
            error = F.mse_loss(output, target, reduction="none").mean((1, 2, 3))
            losses.append(masked_mean(error, None if real is None else real[:, t]))

            estimate = self.base(context) + self.objective.x_hat(output.detach(), noisy, level)
            estimates.append(quantize(estimate))
            context = torch.cat([context[:, 1:], estimates[-1][:, None]], dim=1)
        return torch.stack(losses).mean(), torch.stack(estimates, dim=1)
