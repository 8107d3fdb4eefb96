"""Sora as a LightningModule: what is trained, when, and with which loss.

Brooks, Peebles et al. 2024, as far as the report goes: a network compresses video, a diffusion
transformer on spacetime patches of the compressed video predicts the clean patches, words condition
it, a picture is a video of one frame. What it leaves open is filled as open models do: a rectified
flow (Liu et al. 2022), noise levels from a logit-normal (Esser et al. 2024).

Shapes: B videos, T frames, L words, C x H x W a frame, c x h x w its latent.
"""

from __future__ import annotations

import math

import lightning as L
import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn import diffusion
from wmlearn.nn.autoencoder import reconstruction_errors
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float
from wmlearn.recipes.optim import adamw, only_within, scheduled, warmup_cosine
from wmlearn.recipes.turns import Turns
from wmlearn.systems.sora.network import SoraNetwork

PARTS = ("autoencoder", "video")
LEAST_LEVEL = 0.1  # of the flow's weight 1 / t^2


class Sora(Turns, SoraNetwork, L.LightningModule):
    """Autoencoder of frames, encoder of words, and a transformer that denoises videos.

    Args:
        config: all numbers.
    """

    parts = PARTS

    @torch.no_grad()
    def measure_scale(self, frames: Tensor) -> None:
        """Sets the latents' scale from a sample of frames, uint8 ``[B, C, H, W]``."""
        x = to_float(frames)
        z = self.autoencoder.encode(x).mean if self.autoencoder else x
        self.latent_mean.copy_(z.mean((0, 2, 3)))
        self.latent_std.copy_(z.std((0, 2, 3)))

    # --- training ---------------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of videos, of the part whose turn it is."""
        losses = self.losses(batch, self.parts_at(self.global_step), self.global_step)
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        loss = sum(losses.values())
        if self.trainer.world_size == 1:
            return loss
        return loss + 0.0 * sum(p.flatten()[0] for p in self.parameters())  # DDP waits for all

    def losses(
        self, clip: Clip, parts: tuple[str, ...] = PARTS, step: int = 0
    ) -> dict[str, Tensor]:
        """The losses of some parts, with the noise that belongs to training step ``step``."""
        clip.require("text")
        rank = 0 if self._trainer is None else self.global_rank
        noise = SampleNoise(self.config.seed, step, len(clip), rank, device=clip.frames.device)
        losses = {}
        if "autoencoder" in parts:
            frames = _one_each(clip.frames, noise)[:, 0]
            normal = noise.normal(len(clip), self.config.latent_channels, *self.config.latent_size)
            losses["autoencoder"] = self.autoencoder_errors(frames, normal).mean()
        if "video" in parts:
            frames = clip.frames[:, : self.config.frames]
            if self.sees_pictures(step):
                frames = _one_each(frames, noise)
            with torch.no_grad():
                latents = self.encode(frames)
            numbers = self.vocabulary.encode(clip.text).to(latents.device)
            losses["video"] = self.video_errors(latents, numbers, noise).mean()
        return losses

    def autoencoder_errors(self, frames: Tensor, normal: Tensor) -> Tensor:
        """Autoencoder loss of frames uint8 ``[B, C, H, W]``: [B]; normal [B, c, h, w]."""
        x = to_float(frames)
        drawn, latents = self.autoencoder(x, normal)
        errors = reconstruction_errors(drawn.float(), x, torch.ones_like(x[:, :1]))
        return errors + self.config.kl_weight * latents.kl() / normal[0].numel()

    def video_errors(self, x: Tensor, numbers: Tensor, noise: SampleNoise) -> Tensor:
        """Transformer loss of each video: ``[B]``.

        Args:
            x: ``[B, T, c, h, w]``, scaled latents.
            numbers: int64 ``[B, L]``, the words.
            noise: draws normal and uniform numbers.
        """
        config = self.config
        batch, frames = x.shape[:2]
        draw = diffusion.LogitNormal(config.level_loc, config.level_scale)
        level = draw(noise.normal(batch, 1)).expand(-1, frames)
        given = noise.uniform(batch, 1) < config.given_share
        most = min(config.given_most, frames - 1)
        least = min(config.given_least, most)
        count = least + (noise.uniform(batch, 1) * (most - least + 1)).floor()
        free = ~(given & (torch.arange(frames, device=x.device) < count))
        level = level * free  # what is given has no noise, and no loss
        eps = noise.normal(*x.shape)
        hidden = noise.uniform(batch, 1) < config.text.drop
        return self.errors_at(x, numbers, eps, level, hidden)

    def errors_at(
        self, x: Tensor, numbers: Tensor, eps: Tensor, level: Tensor, hidden: Tensor
    ) -> Tensor:
        """The same where everything that is random has been drawn: ``[B]``.

        Args:
            x, numbers: as in :meth:`video_errors`.
            eps: ``[B, T, c, h, w]``, standard normal.
            level: ``[B, T]``; 0 where a frame is given, which then costs nothing.
            hidden: bool ``[B, 1]``, whose words are hidden.
        """
        free = level > 0
        z = self.prediction.path.mix(x, eps, level)
        text, mask = self.words(numbers)
        output = self.output(z, level, text, mask & ~hidden)
        errors = (output - self.prediction.target(x, eps, level)).square().mean((2, 3, 4))
        if self.config.flow_loss:
            errors = errors / level.clamp(min=LEAST_LEVEL).square()
        return (errors * free).sum(1) / free.sum(1)

    def sees_pictures(self, step: int) -> bool:
        """Whether a training step sees single frames: a choice by the step's number alone."""
        share = self.config.image_share
        return math.floor((step + 1) * share) > math.floor(step * share)

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """The latents' scale is measured when the autoencoder has learned.

        From one batch of all processes; a resumed run has it in its checkpoint.
        """
        if self.global_step == math.ceil(self._span("video")[0]):
            self.measure_scale(self._of_all_processes(batch.frames).flatten(0, 1))

    # --- validation and optimizer -----------------------------------------------------------------

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """On held-out clips: PSNR in dB of the autoencoder, and of a video from given frames."""
        frames, given = batch.frames[:, : self.config.frames], self.config.given_most
        latents = self.encode(frames)
        noise = SampleNoise(self.config.seed, batch_idx, len(batch), self.global_rank, self.device)
        numbers = self.vocabulary.encode(batch.require("text").text).to(self.device)
        drawn = self.sample(noise.normal(*latents.shape), numbers, latents[:, :given])
        real, copied = frames[:, given:], frames[:, given - 1 : given].expand_as(frames[:, given:])
        metrics = {
            "val/psnr": psnr(self.decode(drawn)[:, given:].flatten(0, 1), real.flatten(0, 1)),
            "val/psnr_autoencoder": psnr(self.decode(latents).flatten(0, 1), frames.flatten(0, 1)),
            "val/psnr_copy": psnr(copied.flatten(0, 1), real.flatten(0, 1)),
        }
        metrics = {name: value.mean() for name, value in metrics.items()}
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """One AdamW; the learning rate of what is out of its turn is zero."""
        config = self.config
        groups = [{"params": [p for m in part for p in m.parameters()]} for part in self._groups()]
        rates = []
        for part in PARTS:
            begin, end = self._span(part)
            cosine = warmup_cosine(config.warmup_steps, max(1, end - begin), begin)
            rates.append(only_within(cosine, begin, end))
        kept = [i for i, group in enumerate(groups) if group["params"]]
        optimizer = adamw(
            [groups[i] for i in kept], config.learning_rate, config.weight_decay, betas=(0.9, 0.98)
        )
        return scheduled(optimizer, [rates[i] for i in kept])

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Clips the gradient; what is out of its turn is left as it is."""
        parts = self.parts_at(self.global_step)
        for part, modules in zip(PARTS, self._groups(), strict=True):
            for module in () if part in parts else modules:
                module.zero_grad(set_to_none=True)
        nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)

    def _groups(self) -> tuple[tuple[nn.Module, ...], ...]:
        """The modules of the two parts."""
        first = (self.autoencoder,) if self.autoencoder else ()
        return first, (self.words, self.transformer)


def _one_each(frames: Tensor, noise: SampleNoise) -> Tensor:
    """One random frame of each clip ``[B, T, ...]``: ``[B, 1, ...]``."""
    one = noise.integers(frames.shape[1])
    return frames[torch.arange(len(frames), device=frames.device), one][:, None]
