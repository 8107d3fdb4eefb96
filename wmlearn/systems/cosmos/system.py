"""Cosmos as a LightningModule: what is trained, when, and with which loss.

NVIDIA 2025: a causal tokenizer turns video into latents (section 4), a diffusion model draws the
latents that follow (section 5.1), here with actions, as in the post-training of section 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.causal_video import CausalVideoTokenizer
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float, to_uint8
from wmlearn.recipes.optim import Schedule, adamw, only_within, scheduled, warmup_cosine
from wmlearn.systems.cosmos.config import CosmosConfig, SamplerConfig
from wmlearn.systems.cosmos.denoiser import Denoiser
from wmlearn.world import World, WorldModel

PARTS = ("tokenizer", "denoiser")


class Cosmos(L.LightningModule, WorldModel):
    """Tokenizer, and the diffusion model of its latents.

    Args:
        config: all numbers; ``wmlearn.systems.cosmos.PAPER_7B`` is the paper's.
    """

    Sampler = SamplerConfig

    def __init__(self, config: CosmosConfig) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.tokenizer = CausalVideoTokenizer(config.tokenizer)
            self.denoiser = Denoiser(config)
        # Latents are diffused with the deviation sigma_data; their scale is measured once.
        c = config.tokenizer.latent_channels
        self.register_buffer("latent_mean", torch.zeros(c))
        self.register_buffer("latent_std", torch.ones(c))

    # --- frames and latents ----------------------------------------------------------------------

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, T, C, H, W]``, T = 1 + a multiple of the ratio -> ``[B, t, c, h, w]``."""
        return self.scaled(self.tokenizer.encode(to_float(frames)))

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[B, t, c, h, w]`` -> video ``[B, T, C, H, W]``, about in [-1, 1]."""
        return self.tokenizer.decode(self.unscaled(latents))

    def scaled(self, z: Tensor) -> Tensor:
        """Latents of the tokenizer -> those that are diffused."""
        factor = self.config.denoiser.sigma_data / self.latent_std
        return (z - _channels(self.latent_mean)) * _channels(factor)

    def unscaled(self, z: Tensor) -> Tensor:
        """The inverse."""
        factor = self.latent_std / self.config.denoiser.sigma_data
        return z * _channels(factor) + _channels(self.latent_mean)

    @torch.no_grad()
    def measure_scale(self, z: Tensor) -> None:
        """Sets the scale from a sample of the tokenizer's latents ``[B, t, c, h, w]``."""
        self.latent_mean.copy_(z.mean((0, 1, 3, 4)))
        self.latent_std.copy_(z.std((0, 1, 3, 4)))

    def actions_of(self, actions: Tensor, latents: int) -> Tensor | None:
        """Actions between frames -> those that led to each latent.

        The frames of a latent come of as many actions, and the network sees them all: an action
        that changes inside a chunk takes effect at its own frame. The first latent is one picture,
        which nothing led to: there they are 0.

        Args:
            actions: ``[B, T - 1, action_dim]``, from the first frame of the first latent on.
            latents: t; what is missing at the end is 0.

        Returns:
            ``[B, t, A]``; None for a model without actions.
        """
        if not self.config.denoiser.action_dim:
            return None
        ratio = self.config.tokenizer.time_ratio
        whole = actions.new_zeros(len(actions), latents * ratio, actions.shape[-1])
        kept = actions[:, : (latents - 1) * ratio]
        whole[:, ratio : ratio + kept.shape[1]] = kept
        return whole.unflatten(1, (latents, ratio)).flatten(2)

    # --- training --------------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips, of the part whose turn it is."""
        losses = self.losses(batch, self.parts_at(self.global_step), self.global_step)
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        loss = sum(losses.values())
        if losses and self.trainer.world_size == 1:
            return loss
        return loss + 0.0 * sum(p.flatten()[0] for p in self.parameters())  # DDP waits for all

    def losses(
        self, clip: Clip, parts: tuple[str, ...] = PARTS, step: int = 0
    ) -> dict[str, Tensor]:
        """The losses of some parts, with the noise that belongs to training step ``step``."""
        rank = 0 if self._trainer is None else self.global_rank
        noise = SampleNoise(self.config.seed, step, len(clip), rank, device=clip.frames.device)
        losses = {}
        if "tokenizer" in parts:
            losses["tokenizer"] = self.tokenizer_loss(to_float(clip.frames)).mean()
        if "denoiser" in parts:
            with torch.no_grad():
                latents, actions = self.window(clip, noise.uniform(len(clip)))
            known = self.known(noise.uniform(len(clip), 2), latents.shape[1])
            losses["denoiser"] = self.denoiser.loss(latents, known, noise.normal, actions)[0].mean()
        return losses

    def tokenizer_loss(self, video: Tensor) -> Tensor:
        """What video ``[B, T, C, H, W]`` in [-1, 1] costs: ``[B]``.

        Absolute errors (the paper's), those of the gradients, and squared ones: the latter two
        stand where the paper has a perceptual loss.
        """
        error = self.tokenizer.decode(self.tokenizer.encode(video)) - video
        across = (error[..., 1:] - error[..., :-1]).abs().mean((1, 2, 3, 4))
        down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean((1, 2, 3, 4))
        size = error.abs().mean((1, 2, 3, 4))
        squared = error.square().mean((1, 2, 3, 4))
        config = self.config
        return size + config.gradient_weight * (across + down) + config.squared_weight * squared

    def window(self, clip: Clip, uniform: Tensor) -> tuple[Tensor, Tensor | None]:
        """A sequence of latents of each clip, and the actions that led to them.

        It begins somewhere in the clip, drawn by ``uniform`` ``[B]``: in play, too, the sequence
        slides, and its first latent is a picture only in the beginning.

        Returns:
            ``[B, t, c, h, w]`` and ``[B, t, A]`` (or None).
        """
        if self.config.denoiser.action_dim:
            clip.require("actions")
        latents = self.encode(clip.frames)
        t = min(self.config.denoiser.latent_frames, latents.shape[1])
        begin = (uniform * (latents.shape[1] - t + 1)).long()
        index = begin[:, None] + torch.arange(t, device=begin.device)
        rows = torch.arange(len(clip), device=begin.device)[:, None]
        actions = self.actions_of(clip.actions, latents.shape[1])
        return latents[rows, index], None if actions is None else actions[rows, index]

    def known(self, uniform: Tensor, latents: int) -> Tensor:
        """Which latents are known in training: the first 1 to ``most_known``, or none.

        Args:
            uniform: ``[B, 2]``, in [0, 1).
            latents: t.

        Returns:
            bool ``[B, t]``.
        """
        config = self.config.denoiser
        most = min(config.most_known, latents - 1)
        count = 1 + (uniform[:, 0] * most).long()
        count = torch.where(uniform[:, 1] < config.drop_known, 0, count)
        return torch.arange(latents, device=count.device) < count[:, None]

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """The latents' scale is measured when the tokenizer has learned, from one joint batch."""
        learned = self._span("tokenizer")[1]
        if learned and self.global_step == math.ceil(learned):
            with torch.no_grad():
                z = self.tokenizer.encode(to_float(batch.frames))
            if self.trainer.world_size > 1:
                z = self.all_gather(z).flatten(0, 1)
            self.measure_scale(z)

    def parts_at(self, step: int) -> tuple[str, ...]:
        """Whose turn it is at a training step: a choice by the step's number alone."""
        spans = {part: self._span(part) for part in PARTS}
        return tuple(part for part, (begin, end) in spans.items() if begin <= step < end)

    def _span(self, part: str) -> tuple[float, float]:
        begin, end = getattr(self.config, f"{part}_span")
        return begin * self.config.max_steps, end * self.config.max_steps

    # --- validation and optimizer ----------------------------------------------------------------

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """PSNR in dB on held-out clips: tokenizer, the frames that follow, and copying the last."""
        ratio, config = self.config.tokenizer.time_ratio, self.config
        t = min(config.denoiser.latent_frames, 1 + (batch.length - 1) // ratio)
        n = min(config.denoiser.most_known, t - 1)
        clip = batch.time(0, 1 + (t - 1) * ratio)
        noise = SampleNoise(config.seed, batch_idx, len(clip), self.global_rank, self.device)
        latents = self.encode(clip.frames)
        actions = None if clip.actions is None else self.actions_of(clip.actions, t)
        drawn = self.denoiser.draw(latents[:, :n], t - n, noise.normal, config.sampler, actions)
        seen = 1 + (n - 1) * ratio
        real = clip.frames[:, seen:]
        shown = self.decode(torch.cat([latents[:, :n], drawn], dim=1))[:, seen:]
        copied = clip.frames[:, seen - 1 : seen].expand_as(real)
        metrics = {
            "val/psnr": psnr(to_uint8(shown), real).mean(),
            "val/psnr_tokenizer": psnr(to_uint8(self.decode(latents)), clip.frames).mean(),
            "val/psnr_copy": psnr(copied, real).mean(),
        }
        self.log_dict(metrics, batch_size=len(clip), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """One AdamW; the learning rate of what is out of its turn is zero."""
        config = self.config
        rates = {"tokenizer": config.tokenizer_rate, "denoiser": config.learning_rate}
        groups = [
            {"params": list(getattr(self, part).parameters()), "lr": rates[part]} for part in PARTS
        ]

        def schedule(part: str) -> Schedule:
            begin, end = self._span(part)
            return only_within(warmup_cosine(config.warmup_steps, end - begin, begin), begin, end)

        optimizer = adamw(groups, config.learning_rate, config.weight_decay, config.betas)
        return scheduled(optimizer, [schedule(part) for part in PARTS])

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Clips the gradient; what is out of its turn is left as it is."""
        turn = self.parts_at(self.global_step)
        for part in PARTS:
            if part not in turn:
                getattr(self, part).zero_grad(set_to_none=True)
        nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, to be driven in (a :class:`CosmosWorld`).

        Args:
            sampler: how frames are drawn, or what differs from the config's own way:
                ``{"num_steps": 2}``.
        """
        from wmlearn.systems.cosmos.world import CosmosWorld

        return CosmosWorld(self, sampler)


def _channels(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)
