"""Cosmos's diffusion model of latents (NVIDIA 2025, section 5.1): EDM on a video transformer.

A sequence holds latents that are known and latents that are to be drawn. The known ones get a
little noise of their own, the network is told how much, and no loss is taken on them. So one
network continues one picture or many frames, and is not thrown by its own small errors.

Shapes: B batch, t latents of a sequence, n of them known, c channels, h x w positions, A numbers of
the actions that led to one latent. Latents have the standard deviation sigma_data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wmlearn.nn.blocks import FourierFeatures
from wmlearn.nn.diffusion import EDM, LogNormal, expand_to, karras_schedule, sample
from wmlearn.nn.video_transformer import VideoTransformer
from wmlearn.systems.cosmos.config import CosmosConfig, SamplerConfig

Noise = Callable[..., Tensor]  # noise(*shape) -> standard normal


class Denoiser(nn.Module):
    """F_theta and what EDM makes of it."""

    def __init__(self, config: CosmosConfig) -> None:
        super().__init__()
        self.config = d = config.denoiser
        self.transformer = VideoTransformer(config.transformer)
        if d.action_dim:
            self.actions = nn.Sequential(
                nn.Linear(config.action_channels, d.action_width),
                nn.SiLU(),
                nn.Linear(d.action_width, d.action_width),
            )
        self.level_features = FourierFeatures(64)
        self.log_variance = nn.Linear(64, 1)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.zeros_(self.log_variance.bias)
        self.prediction = EDM(sigma_data=d.sigma_data)
        low, high = d.sigma_range
        self.sigma = LogNormal(*d.sigma, low=low, high=high)
        self.known_sigma = LogNormal(*d.known_sigma, low=low, high=high)

    def forward(
        self,
        z: Tensor,
        sigma: Tensor,
        known: Tensor,
        actions: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> Tensor:
        """F, the network's raw output, ``[B, t, c, h, w]``.

        Args:
            z: ``[B, t, c, h, w]``, noisy.
            sigma: ``[B, t]``, of each latent's noise.
            known: bool ``[B, t]``, which latents are given.
            actions: ``[B, t, A]``, what led to each latent; of the first it is not read off
                anything, and is 0 where nothing is known of it.
            text: ``[B, L, E]``; text_mask: bool ``[B, L]``.
        """
        mask = expand_to(known.to(z.dtype), z).expand(-1, -1, 1, *z.shape[-2:])
        x = torch.cat([expand_to(self.prediction.c_in(sigma), z) * z, mask], dim=2)
        extra = None if actions is None else self.actions(actions)
        level = self.prediction.c_noise(sigma)
        return self.transformer(
            x, level, text=text, text_mask=text_mask, conditioning=extra
        ).float()

    def uncertainty(self, sigma: Tensor) -> Tensor:
        """The learned log-variance of F's error at a noise level, of the shape of ``sigma``."""
        features = self.level_features(self.prediction.c_noise(sigma).flatten())
        return self.log_variance(features).view(sigma.shape)

    # --- training --------------------------------------------------------------------------------

    def loss(
        self,
        latents: Tensor,
        known: Tensor,
        noise: Noise,
        actions: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Loss of a sequence, and the squared error of F alone: ``[B]`` each.

        The error is weighed as exp(-u) error + u with the learned u(sigma): every noise level then
        asks for the same share of the gradient (Karras et al. 2024, equation 21).

        Args:
            latents: ``[B, t, c, h, w]``, clean.
            known: bool ``[B, t]``; on these no loss is taken.
            noise: draws standard normal noise of a given shape.
            actions, text, text_mask: as in :meth:`forward`.
        """
        batch, t = known.shape
        sigma = self.sigma(noise(batch))[:, None].expand(batch, t)
        own = self.known_sigma(noise(batch))[:, None].expand(batch, t)
        level = torch.where(known, own, sigma)
        eps = noise(*latents.shape)
        z = self.prediction.path.mix(latents, eps, level)
        target = self.prediction.target(latents, eps, level)
        output = self(z, level, known, actions, text, text_mask)
        error = (output - target).square().mean((2, 3, 4))
        new = (~known).to(error.dtype)
        error = (error * new).sum(1) / new.sum(1)
        u = self.uncertainty(sigma[:, 0])
        return error / u.exp() + u, error

    # --- sampling --------------------------------------------------------------------------------

    def draw(
        self,
        before: Tensor,
        new: int,
        noise: Noise,
        sampler: SamplerConfig,
        actions: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        edit: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Draws the latents that follow, all of them together.

        Args:
            before: ``[B, n, c, h, w]``, what is known; n may be 0 only in shape ``[B, 0, ...]``.
            new: how many to draw; n + new at most ``latent_frames``.
            noise: draws standard normal noise of a given shape.
            sampler: how.
            actions: ``[B, n + new, A]``.
            text, text_mask: as in :meth:`forward`.
            edit: of each step's estimate of the clean latents ``[B, new, c, h, w]`` and its noise
                level ``[B]``: what shall be believed instead.

        Returns:
            ``[B, new, c, h, w]``.

        Raises:
            ValueError: guidance by actions where there are none, or nothing is known.
        """
        batch, n = before.shape[:2]
        w = sampler.action_guidance
        if w and (actions is None or n == 0):
            raise ValueError("action_guidance needs actions, and at least one latent before.")
        usual = None if not w else _usual(actions, n)
        own = before.new_full((batch, n), sampler.known_sigma)
        before = before + sampler.known_sigma * noise(*before.shape)
        known = (torch.arange(n + new, device=before.device) < n).expand(batch, -1)

        def denoise(z: Tensor, level: Tensor) -> Tensor:
            sigma = torch.cat([own, level[:, None].expand(-1, new)], dim=1)
            whole = torch.cat([before, z], dim=1)
            output = self(whole, sigma, known, actions, text, text_mask)[:, n:]
            if w:
                other = self(whole, sigma, known, usual, text, text_mask)[:, n:]
                output = output + w * (output - other)
            clean = self.prediction.x_hat(output, z, level)
            return clean if edit is None else edit(clean, level)

        levels = karras_schedule(sampler.num_steps, sampler.sigma_min, sampler.sigma_max)
        z = sampler.sigma_max * noise(batch, new, *before.shape[2:])
        return sample(denoise, self.prediction.path, z, levels, sampler.order)


def _usual(actions: Tensor, n: int) -> Tensor:
    """Actions ``[B, t, A]`` where those of latents n and later are the mean of those before."""
    before = actions[:, :n]
    return torch.cat([before, before.mean(1, keepdim=True).expand_as(actions[:, n:])], dim=1)
