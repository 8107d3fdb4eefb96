"""GameNGen's diffusion model of the next latent (Valevski et al. 2024, section 3.2).

Shapes: B batch, n context frames, c latent channels, h x w positions. Latents have unit variance.
The past latents stand on the channels before the noisy next one, the oldest first; actions are the
tokens of the cross-attention, in the place of Stable Diffusion's text; the network predicts v.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wmlearn.nn.diffusion import (
    Cosine,
    DiscreteVP,
    Path,
    VPrediction,
    guided,
    linear_schedule,
    sample,
    scaled_linear,
    shifted,
)
from wmlearn.nn.resnet import zero_
from wmlearn.systems.gamengen.config import DenoiserConfig, SamplerConfig
from wmlearn.systems.gamengen.unet import UNet

Noise = Callable[..., Tensor]  # noise(*shape) -> standard normal
TIMESTEPS = 1000


class Denoiser(nn.Module):
    """The estimate of the clean next latent, from noisy ones, the past and the actions."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.sizes
        cond = 4 * sizes.channels[0]
        self.unet = UNet(sizes)
        self.action_embedding = nn.Embedding(config.num_actions, sizes.token_dim)
        self.noise_embedding = nn.Embedding(config.noise_buckets, cond)
        if config.action_vector:
            self.action_vector = zero_(nn.Linear(config.context_frames * sizes.token_dim, cond))
        nn.init.zeros_(self.noise_embedding.weight)
        if config.near_last:  # at first nothing ever moves
            zero_(self.unet.conv_out)
        self.path, self.full_noise = paths(config.path)
        self.prediction = VPrediction(self.path)

    # --- one estimate --------------------------------------------------------------------------

    def v(
        self, noisy: Tensor, level: Tensor, context: Tensor, added: Tensor, actions: Tensor
    ) -> Tensor:
        """The predicted v = alpha eps - sigma x, ``[B, c, h, w]``.

        Args:
            noisy: [B, c, h, w].
            level: [B], of the path.
            context: [B, n, c, h, w].
            added: [B], standard deviation of the noise that the context has got.
            actions: int64 [B, n]; the last one is the action taken now.
        """
        tokens = self.action_embedding(actions)
        extra = self.noise_embedding(self.bucket_of(added))
        if self.config.action_vector:
            extra = extra + self.action_vector(tokens.flatten(1))
        x = torch.cat([context.flatten(1, 2), noisy], dim=1)
        output = self.unet(x, self.timestep(level), tokens, extra).float()
        if not self.config.near_last:
            return output
        c_out, guess = self.guess(noisy, level, context[:, -1], added)
        return guess + c_out * output

    def guess(
        self, noisy: Tensor, level: Tensor, last: Tensor, added: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The v of a next latent that is like the last one; and the error that is left to learn.

        Two observations of x, both with Gaussian errors: the last latent, of variance
        s^2 = near_last^2 + added^2, and z / alpha, of variance (sigma / alpha)^2. Weighed by their
        precisions they give x_0 = (sigma^2 last + alpha s^2 z) / (sigma^2 + alpha^2 s^2), so
        v_0 = (alpha z - x_0) / sigma, which is off by s / sqrt(sigma^2 + alpha^2 s^2).

        Returns:
            That standard deviation ``[B, 1, 1, 1]``, and v_0 ``[B, c, h, w]``.
        """
        alpha, sigma = (_like(f(level), noisy) for f in (self.path.alpha, self.path.sigma))
        variance = _like(self.config.near_last**2 + added**2, noisy)
        total = sigma**2 + alpha**2 * variance
        x = (sigma**2 * last + alpha * variance * noisy) / total
        return (variance / total).sqrt(), (alpha * noisy - x) / sigma

    def timestep(self, level: Tensor) -> Tensor:
        """What the U-Net is told of a level: 0 for the lowest, 999 for noise alone."""
        return level * (TIMESTEPS / self.full_noise) - 1

    def bucket_of(self, noise_level: Tensor) -> Tensor:
        """Standard deviations [B] of the context's noise -> their bucket, int64 [B]."""
        most, buckets = self.config.context_noise, self.config.noise_buckets
        share = noise_level / most if most else torch.zeros_like(noise_level)
        return (share * buckets).long().clamp(0, buckets - 1)

    def level_of(self, uniform: Tensor) -> Tensor:
        """Shares of full noise [B] to train at, from uniform numbers [B]."""
        if not self.config.levels:
            return shifted(uniform, self.config.level_shift)
        levels = uniform.new_tensor(self.config.levels)
        return levels[(uniform * len(levels)).long().clamp(max=len(levels) - 1)]

    # --- training ------------------------------------------------------------------------------

    def loss(
        self,
        context: Tensor,
        target: Tensor,
        actions: Tensor,
        noise: Noise,
        weight: Tensor | float = 1.0,
    ) -> Tensor:
        """Squared error of v (section 3.2), with noise augmentation and dropped contexts: [B].

        Args:
            context: [B, n, c, h, w].
            target: [B, c, h, w], the next latent.
            actions: int64 [B, n].
            noise: draws standard normal noise of a given shape.
            weight: [B, 1, h, w], of the positions.
        """
        config, batch = self.config, len(target)

        def uniform() -> Tensor:
            return torch.special.ndtr(noise(batch))

        augmentation = config.context_noise * uniform() ** config.noise_power
        context = context + _like(augmentation, context) * noise(*context.shape)
        kept = (uniform() >= config.drop_context).to(context.dtype)
        context = context * _like(kept, context)
        level = self.full_noise * self.level_of(uniform())
        eps = noise(*target.shape)
        v = self.v(self.path.mix(target, eps, level), level, context, augmentation, actions)
        error = (v - self.prediction.target(target, eps, level)).square()
        return (weight * error).mean((1, 2, 3))

    # --- sampling ------------------------------------------------------------------------------

    def sample(
        self, context: Tensor, actions: Tensor, noise: Noise, config: SamplerConfig
    ) -> Tensor:
        """Draws the next latent with DDIM: ``context`` [B, n, c, h, w] -> [B, c, h, w]."""
        batch = len(context)
        added = context.new_full((batch,), config.context_noise)
        if config.context_noise:
            context = context + config.context_noise * noise(*context.shape)
        guide = config.guidance != 1.0
        if guide:  # the second half has no past, but the same actions
            context = torch.cat([context, torch.zeros_like(context)])
            actions, added = torch.cat([actions, actions]), torch.cat([added, added])

        def denoise(z: Tensor, level: Tensor) -> Tensor:
            v = self.v(z, level, context, added, actions)
            return self.prediction.x_hat(v, z, level)

        z = config.initial_scale * noise(batch, *context.shape[2:])
        levels = linear_schedule(config.num_steps, self.full_noise)
        if guide:
            return sample(guided(denoise, config.guidance), self.path, z, levels)
        return sample(denoise, self.path, z, levels)


def paths(name: str) -> tuple[Path, float]:
    """A path by its name, and its level of pure noise."""
    if name == "cosine":
        return Cosine(), 1.0
    return DiscreteVP(scaled_linear()), float(TIMESTEPS)


def _like(level: Tensor, x: Tensor) -> Tensor:
    return level.view(-1, *[1] * (x.ndim - 1))
