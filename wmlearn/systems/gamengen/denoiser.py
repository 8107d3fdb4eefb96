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
        self.path, self.full_noise = paths(config.path)
        self.prediction = VPrediction(self.path)

    # --- one estimate --------------------------------------------------------------------------

    def v(
        self, noisy: Tensor, level: Tensor, context: Tensor, bucket: Tensor, actions: Tensor
    ) -> Tensor:
        """F_theta, the predicted v = alpha eps - sigma x.

        Args:
            noisy: [B, c, h, w].
            level: [B], of the path.
            context: [B, n, c, h, w].
            bucket: int64 [B], how noisy the context is (see :meth:`bucket_of`).
            actions: int64 [B, n]; the last one is the action taken now.
        """
        tokens = self.action_embedding(actions)
        extra = self.noise_embedding(bucket)
        if self.config.action_vector:
            extra = extra + self.action_vector(tokens.flatten(1))
        x = torch.cat([context.flatten(1, 2), noisy], dim=1)
        return self.unet(x, self.timestep(level), tokens, extra).float()

    def timestep(self, level: Tensor) -> Tensor:
        """What the U-Net is told of a level: 0 for the lowest, 999 for noise alone."""
        return level * (TIMESTEPS / self.full_noise) - 1

    def bucket_of(self, noise_level: Tensor) -> Tensor:
        """Standard deviations [B] of the context's noise -> their bucket, int64 [B]."""
        most, buckets = self.config.context_noise, self.config.noise_buckets
        share = noise_level / most if most else torch.zeros_like(noise_level)
        return (share * buckets).long().clamp(0, buckets - 1)

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

        augmentation = config.context_noise * uniform()
        context = context + _like(augmentation, context) * noise(*context.shape)
        kept = (uniform() >= config.drop_context).to(context.dtype)
        context = context * _like(kept, context)
        level = self.full_noise * shifted(uniform(), config.level_shift)
        eps = noise(*target.shape)
        v = self.v(
            self.path.mix(target, eps, level), level, context, self.bucket_of(augmentation), actions
        )
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
        bucket = self.bucket_of(added)
        guide = config.guidance != 1.0
        if guide:  # the second half has no past, but the same actions
            context = torch.cat([context, torch.zeros_like(context)])
            actions, bucket = torch.cat([actions, actions]), torch.cat([bucket, bucket])

        def denoise(z: Tensor, level: Tensor) -> Tensor:
            v = self.v(z, level, context, bucket, actions)
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
