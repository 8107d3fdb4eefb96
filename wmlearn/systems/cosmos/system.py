"""Cosmos as a LightningModule: a diffusion model over a causal tokenizer.

NVIDIA 2025: a causal tokenizer turns video into latents (section 4), a diffusion model draws the
latents that follow (section 5.1), here with actions, as in the post-training of section 6.
"""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float, to_uint8
from wmlearn.systems.cosmos.base import OverTokenizer
from wmlearn.systems.cosmos.network import CosmosNetwork


class Cosmos(OverTokenizer, CosmosNetwork, L.LightningModule):
    """Tokenizer, and the diffusion model of its latents.

    Args:
        config: all numbers; ``wmlearn.systems.cosmos.PAPER_7B`` is the paper's.
    """

    @torch.no_grad()
    def measure_scale(self, z: Tensor) -> None:
        """Sets the scale from a sample of the tokenizer's latents ``[B, t, c, h, w]``."""
        self.latent_mean.copy_(z.mean((0, 1, 3, 4)))
        self.latent_std.copy_(z.std((0, 1, 3, 4)))

    # --- training --------------------------------------------------------------------------------

    def model_loss(self, clip: Clip, noise: SampleNoise) -> Tensor:
        """Section 5.1.1, on a sequence of each clip."""
        with torch.no_grad():
            latents, actions = self.sequences(clip, noise.uniform(len(clip)))
        known = self.known(noise.uniform(len(clip), 2), latents.shape[1])
        return self.denoiser.loss(latents, known, noise.normal, actions)[0].mean()

    def sequences(self, clip: Clip, uniform: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents ``[B, t, c, h, w]`` and the actions ``[B, t, A]`` (or None) that led to them."""
        if self.action_dim:
            clip.require("actions")
        latents = self.encode(clip.frames)
        t = min(self.config.denoiser.latent_frames, latents.shape[1])
        index = self.windows(t, latents.shape[1], uniform)
        rows = torch.arange(len(clip), device=index.device)[:, None]
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

    @torch.no_grad()
    def tokenizer_has_learned(self, frames: Tensor) -> None:
        self.measure_scale(self.tokenizer.encode(to_float(frames)))

    # --- validation ------------------------------------------------------------------------------

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
