"""The simulator: a causal video transformer that draws the next latent, whatever the action's form.

p(next frame | past frames, actions), section 3.2, on latents, with a noise level for each frame
(diffusion forcing; Chen et al. 2024): some frames of a training clip are nearly clean and serve as
the past, the others are to be drawn. The network is asked for the clean latent on rectified flow's
path, and its output counts from the frame before, so that what stands still is right at once:

    x_hat[t] = F[t] + c(l[t - 1]) z[t - 1],    c(l) = (1 - l) / ((1 - l)^2 + l^2)

c(l) z is the best guess of a clean number of unit variance from its noisy value z of level l.

Legend: B batch, T frames, c x h x w a latent, l noise level, D width of an action's vector.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wmlearn.nn.diffusion import RectifiedFlow, expand_to, guided, linear_schedule, sample
from wmlearn.nn.noise import SampleNoise
from wmlearn.nn.video_transformer import Cache, VideoTransformer
from wmlearn.systems.unisim.actions import ActionEncoder, Actions
from wmlearn.systems.unisim.config import SamplerConfig, UniSimConfig

PATH = RectifiedFlow()
Noise = Callable[..., Tensor]


def best_guess(z: Tensor, level: Tensor) -> Tensor:
    """c(l) z: the guess of the clean latent from a noisy one alone; level ``[B]`` or ``[B, T]``."""
    signal = 1 - level
    return expand_to(signal / (signal**2 + level**2), z) * z


def training_levels(config: UniSimConfig, noise: SampleNoise, batch: int, frames: int) -> Tensor:
    """A level for each frame ``[B, T]``: low where it serves as the past, anything where not."""
    sizes = config.simulator
    which, low, high, first = noise.uniform(batch, 4, frames).unbind(1)
    drawn, past = torch.where(first < sizes.first_share, 1.0, high), which < sizes.past_share
    if sizes.alternating:
        clip, phase = noise.uniform(batch, 2, 1).unbind(1)
        turns = (torch.arange(frames, device=phase.device) + (phase < 0.5)) % 2 == 0
        past = torch.where(clip < sizes.alternating, turns, past)
    return torch.where(past, low * sizes.history_noise, drawn)


class Simulator(nn.Module):
    """The encoder of actions, and the transformer that it steers.

    Args:
        config: all numbers.
    """

    def __init__(self, config: UniSimConfig) -> None:
        super().__init__()
        self.config = config
        self.actions = ActionEncoder(config)
        c, side = config.autoencoder.latent_channels, config.latent_size
        sizes = config.simulator.transformer(c, side, config.action.dim)
        self.transformer = VideoTransformer(sizes)

    def estimate(self, z: Tensor, level: Tensor, vectors: Tensor) -> Tensor:
        """The clean latents of noisy ones, all at once.

        Args:
            z: ``[B, T, c, h, w]``.
            level: ``[B, T]``.
            vectors: ``[B, T, D]``, of the actions that led to each frame.

        Returns:
            ``[B, T, c, h, w]``.
        """
        guess = best_guess(z, level)[:, :-1]
        before = torch.cat([torch.zeros_like(guess[:, :1]), guess], dim=1)
        return before + self.transformer(z, level, conditioning=vectors).float()

    def loss(
        self, latents: Tensor, actions: Actions, weight: Tensor, real: Tensor, noise: SampleNoise
    ) -> Tensor:
        """The weighted squared error of the clean latents, a mean over all.

        Args:
            latents: ``[B, T, c, h, w]``, of unit variance.
            actions: that led to each frame.
            weight: ``[B, T, 1, h, w]``, what each position's error counts.
            real: bool ``[B, T]``: frames that are no padding.
            noise: draws the noise.
        """
        batch, frames = latents.shape[:2]
        level = training_levels(self.config, noise, batch, frames)
        z = PATH.mix(latents, noise.normal(*latents.shape), level)
        withheld = noise.uniform(batch, 1)[:, 0] < self.config.action.drop
        vectors = self.actions(actions.withheld(withheld))
        if self.config.simulator.change_weight:
            weight = weight * self.where_it_changed(latents)
        error = (self.estimate(z, level, vectors) - latents) ** 2
        each = (weight * error).mean((2, 3, 4)) * level.clamp(min=0.05)
        return (each * real).mean()

    def where_it_changed(self, latents: Tensor) -> Tensor:
        """Weights ``[B, T, 1, h, w]`` of mean 1 in each frame, larger where a latent has changed.

        In a room of tiles two places of 64 change with an action: without this they hardly count.
        """
        change = torch.zeros_like(latents[:, :, :1])
        moved = (latents[:, 1:] - latents[:, :-1]).square().mean(2, keepdim=True)
        change[:, 1:] = moved.clamp(max=1)
        weight = 1 + self.config.simulator.change_weight * change
        return weight / weight.mean((3, 4), keepdim=True)

    # --- frame by frame ------------------------------------------------------------------------

    def remember(
        self,
        cache: Cache,
        latents: Tensor,
        vectors: Tensor,
        level: float,
        noise: Noise | None = None,
    ) -> tuple[Cache, Tensor]:
        """The past with new frames ``[B, t, c, h, w]``; and the last of them as it is remembered.

        Args:
            cache: the past.
            latents: clean ones.
            vectors: ``[B, t, D]``.
            level: of the noise, as the network is told it.
            noise: draws standard normal noise of a given shape; None: there is none in truth.
        """
        levels = torch.full(latents.shape[:2], level, device=latents.device)
        eps = torch.zeros_like(latents) if noise is None else noise(*latents.shape)
        z = PATH.mix(latents, eps, levels)
        _, cache = self.transformer.step(z, levels, cache, conditioning=vectors)
        return cache, z[:, -1]

    def draw(
        self,
        cache: Cache,
        last: Tensor,
        vector: Tensor,
        start: Tensor,
        sampler: SamplerConfig,
        silence: Tensor | None = None,
    ) -> Tensor:
        """The next latent ``[B, c, h, w]``.

        Args:
            cache: the past.
            last: ``[B, c, h, w]``, the newest frame as it is remembered.
            vector: ``[B, D]``, of the action that leads to the next one.
            start: ``[B, c, h, w]``, standard normal noise: the only randomness.
            sampler: how it is drawn.
            silence: ``[B, D]``, the vector where nobody says what was done; guidance needs it.
        """
        before = best_guess(last, last.new_full((len(last),), sampler.history_noise))
        guide = sampler.guidance != 1
        if guide:
            vector, before = torch.cat([vector, silence]), torch.cat([before, before])
            cache = Cache(**{name: torch.cat([x, x]) for name, x in vars(cache).items()})

        def denoise(z: Tensor, level: Tensor) -> Tensor:
            output, _ = self.transformer.step(
                z[:, None], level[:, None], cache, conditioning=vector[:, None], write=False
            )
            return before + output[:, 0].float()

        return sample(
            guided(denoise, sampler.guidance) if guide else denoise,
            PATH, start * sampler.initial_scale, linear_schedule(sampler.num_steps),
        )  # fmt: skip
