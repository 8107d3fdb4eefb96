"""DIAMOND's diffusion model of the next frame (Alonso et al. 2024, section 3).

Shapes: B batch, n context frames, C channels, H x W pixels. Frames are float in [-1, 1].
Equation numbers are those of EDM (Karras et al. 2022), whose preconditioning the paper takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.blocks import FourierFeatures, conv3x3, group_norm
from wmlearn.nn.unet import UNet
from wmlearn.pixels import quantize
from wmlearn.systems.diamond.config import DenoiserConfig

FRAME_STD = 0.5  # of context frames in [-1, 1]; the paper's sigma_data
Noise = Callable[..., Tensor]  # noise(*shape) -> standard normal


class Preconditioning(NamedTuple):
    """The coefficients of EDM's table 1, each ``[B, 1, 1, 1]``; ``c_noise`` is ``[B]``."""

    c_in: Tensor
    c_out: Tensor
    c_skip: Tensor
    c_noise: Tensor


class InnerModel(nn.Module):
    """F_theta: noisy next frame, context frames and actions -> the preconditioned target."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        n, p, cond = config.context_frames, config.patch_size, config.cond_channels
        pixels = config.image_channels * p * p
        self.noise_embedding = FourierFeatures(cond)
        self.action_embedding = nn.Embedding(config.num_actions, cond // n)
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
        """Takes [B, C, H, W], [B], [B, n * C, H, W] and int64 [B, n]; gives [B, C, H, W]."""
        action_embedding = self.action_embedding(actions).flatten(1)
        cond = self.cond_projection(self.noise_embedding(c_noise) + action_embedding)
        x = self.conv_in(self.to_patches(torch.cat([context, noisy], dim=1)))
        x = self.unet(x, cond)
        return self.to_pixels(self.conv_out(F.silu(self.norm_out(x))))


class Denoiser(nn.Module):
    """D_theta(x; sigma, context): the estimate of the clean next frame (EDM eq. 7)."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.inner_model = InnerModel(config)

    def precondition(self, sigma: Tensor) -> Preconditioning:
        """The coefficients for noise levels ``sigma`` [B], the offset noise folded in.

        EDM mixes what the network must predict from clean image and noise, so that its target
        has unit variance at every sigma. DDPM always predicts the noise.
        """
        data = self.config.sigma_data
        sigma = (sigma**2 + self.config.sigma_offset_noise**2).sqrt()
        c_in = 1 / (sigma**2 + data**2).sqrt()
        if self.config.objective == "edm":
            c_skip = data**2 / (sigma**2 + data**2)
            c_out = sigma * data * c_in
        else:
            c_skip = torch.ones_like(sigma)
            c_out = -sigma
        image = (-1, 1, 1, 1)
        return Preconditioning(
            c_in.view(image), c_out.view(image), c_skip.view(image), sigma.log() / 4
        )

    def inner_output(
        self, noisy: Tensor, c: Preconditioning, context: Tensor, actions: Tensor
    ) -> Tensor:
        """F_theta(c_in * x; c_noise, context). ``context`` [B, n, C, H, W], ``actions`` [B, n]."""
        past = context.flatten(1, 2) / FRAME_STD
        return self.inner_model(noisy * c.c_in, c.c_noise, past, actions)

    def base(self, context: Tensor) -> Tensor | float:
        """What the diffused variable is counted from: the last frame, or nothing."""
        return context[:, -1] if self.config.predict == "change" else 0.0

    def estimate(self, noisy: Tensor, sigma: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        """The clean frame before quantization (EDM eq. 7): c_skip * x + c_out * F_theta.

        Args:
            noisy: [B, C, H, W], the noisy frame, or the noisy change.
            sigma: [B], its noise level.
            context: [B, n, C, H, W], past frames.
            actions: [B, n] int64; the last one is the action taken now.
        """
        c = self.precondition(sigma)
        output = self.inner_output(noisy, c, context, actions)
        return self.base(context) + c.c_skip * noisy + c.c_out * output

    def denoise(self, noisy: Tensor, sigma: Tensor, context: Tensor, actions: Tensor) -> Tensor:
        """The clean diffused variable; the frame in it has 8 bits. Arguments as ``estimate``."""
        estimate, base = self.estimate(noisy, sigma, context, actions), self.base(context)
        change = quantize(estimate) - base
        if self.config.predict == "change":
            largest = (estimate - base).abs().amax(dim=1, keepdim=True)
            change = change * (largest >= self.config.still_below / 127.5)
        return change

    def loss(
        self, frames: Tensor, actions: Tensor, noise: Noise, real: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Denoising score matching (EDM eq. 8), each frame after the context in turn.

        From the second frame on, the context holds the model's own estimates, as at play time.

        Args:
            frames: [B, n + k, C, H, W] in [-1, 1].
            actions: [B, n + k - 1] int64.
            noise: draws standard normal noise of a given shape.
            real: bool [B, n + k], false for frames that are padding and shall not be learnt.

        Returns:
            The mean loss, and the frames' estimates [B, k, C, H, W] without gradient.
        """
        n = self.config.context_frames
        config = self.config
        context, estimates, losses = frames[:, :n], [], []
        if config.context_noise:
            level = torch.special.ndtr(noise(len(frames), 1, 1, 1, 1)) * config.context_noise
            context = context + level * noise(*context.shape)
        for t in range(n, frames.shape[1]):
            target_frame = frames[:, t]
            batch, channels = target_frame.shape[:2]
            clean = target_frame - self.base(context)
            sigma = (noise(batch) * config.sigma_scale + config.sigma_loc).exp()
            sigma = sigma.clamp(config.sigma_min, config.sigma_max)
            pixel_noise = noise(*clean.shape) * sigma.view(-1, 1, 1, 1)
            offset = noise(batch, channels, 1, 1) * config.sigma_offset_noise
            noisy = clean + pixel_noise + offset
            c = self.precondition(sigma)
            output = self.inner_output(noisy, c, context, actions[:, t - n : t])
            error = F.mse_loss(output, (clean - c.c_skip * noisy) / c.c_out, reduction="none")
            error = error.mean((1, 2, 3))
            losses.append((error if real is None else error * real[:, t]).mean())
            with torch.no_grad():
                estimate = quantize(self.base(context) + c.c_skip * noisy + c.c_out * output)
            estimates.append(estimate)
            context = torch.cat([context[:, 1:], estimate[:, None]], dim=1)
        return torch.stack(losses).mean(), torch.stack(estimates, dim=1)
