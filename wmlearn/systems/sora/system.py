"""Sora as a LightningModule: what is trained, when, and with which loss; and how a video is drawn.

Brooks, Peebles et al. 2024, as far as the report goes: a network compresses video, a diffusion
transformer on spacetime patches of the compressed video predicts the clean patches, words condition
it, a picture is a video of one frame. What it leaves open is filled as open models do: a rectified
flow (Liu et al. 2022), noise levels from a logit-normal (Esser et al. 2024).

Shapes: B videos, T frames, L words, C x H x W a frame, c x h x w its latent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn import diffusion
from wmlearn.nn.autoencoder import KLAutoencoder, reconstruction_errors
from wmlearn.nn.noise import SampleNoise
from wmlearn.nn.text import Vocabulary, WordEncoder
from wmlearn.nn.video_transformer import VideoTransformer
from wmlearn.pixels import to_float, to_uint8
from wmlearn.recipes.optim import adamw, only_within, scheduled, warmup_cosine
from wmlearn.recipes.turns import Turns
from wmlearn.systems.sora.config import SamplerConfig, SoraConfig
from wmlearn.world import World, WorldModel

PARTS = ("autoencoder", "video")
NOISIEST = (
    0.999  # where the sampler starts; at 1 a prediction of the noise says nothing of the data
)
LEAST_LEVEL = 0.1  # of the flow's weight 1 / t^2

PREDICTIONS = {
    "x": diffusion.XPrediction(diffusion.RectifiedFlow()),
    "flow": diffusion.FlowPrediction(),
    "eps": diffusion.EpsilonPrediction(diffusion.RectifiedFlow()),
    "v": diffusion.VPrediction(diffusion.Cosine()),
}


class Sora(Turns, L.LightningModule, WorldModel):
    """Autoencoder of frames, encoder of words, and a transformer that takes noise off videos.

    Args:
        config: all numbers.
    """

    parts = PARTS

    def __init__(self, config: SoraConfig) -> None:
        super().__init__()
        self.config = config
        text = config.text
        self.vocabulary = Vocabulary(text.words, text.length)
        self.prediction = PREDICTIONS[config.prediction]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.autoencoder = KLAutoencoder(config.autoencoder) if config.autoencoder else None
            self.words = WordEncoder(
                len(self.vocabulary), text.length, text.dim, text.depth, text.heads
            )
            self.transformer = VideoTransformer(config.transformer)
        # Latents are diffused with unit variance, channel by channel; the scale is measured once.
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.full((config.latent_channels,), 0.5))

    # --- frames and latents -----------------------------------------------------------------------

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 ``[*, C, H, W]`` -> scaled latents ``[*, c, h, w]``."""
        x = to_float(frames.flatten(0, -4))
        z = self.autoencoder.encode(x).mean if self.autoencoder else x
        z = (z - _channels(self.latent_mean)) / _channels(self.latent_std)
        return z.unflatten(0, frames.shape[:-3])

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[*, c, h, w]`` -> uint8 ``[*, C, H, W]``."""
        z = latents.flatten(0, -4) * _channels(self.latent_std) + _channels(self.latent_mean)
        x = self.autoencoder.decode(z).float() if self.autoencoder else z
        return to_uint8(x).unflatten(0, latents.shape[:-3])

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
        """What frames uint8 ``[B, C, H, W]`` cost the autoencoder: [B]; normal [B, c, h, w]."""
        x = to_float(frames)
        drawn, latents = self.autoencoder(x, normal)
        errors = reconstruction_errors(drawn.float(), x, torch.ones_like(x[:, :1]))
        return errors + self.config.kl_weight * latents.kl() / normal[0].numel()

    def video_errors(self, x: Tensor, numbers: Tensor, noise: SampleNoise) -> Tensor:
        """What videos cost the transformer, each apart: ``[B]``.

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
        count = 1 + (noise.uniform(batch, 1) * most).floor() if most else torch.zeros_like(level)
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
        output = self._network(z, level, text, mask & ~hidden)
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

    # --- drawing a video --------------------------------------------------------------------------

    def denoise(
        self, z: Tensor, level: Tensor, text: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The estimate of the clean latents ``[B, T, c, h, w]``; level ``[B, T]``."""
        return self.prediction.x_hat(self._network(z, level, text, mask), z, level)

    def _network(
        self, z: Tensor, level: Tensor, text: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """What the transformer says, float32 ``[B, T, c, h, w]``; arguments as of ``denoise``."""
        when = None
        if self.config.frame_features:
            numbers = torch.arange(z.shape[1], device=z.device)
            when = frame_features(numbers, self.config.frame_features).expand(len(z), -1, -1)
        level = self.prediction.c_noise(level)
        return self.transformer(z, level, text=text, text_mask=mask, conditioning=when).float()

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        numbers: Tensor,
        given: Tensor | None = None,
        sampler: SamplerConfig | None = None,
    ) -> Tensor:
        """Videos from words, and from their first frames where those are given.

        Args:
            noise: standard normal ``[B, T, c, h, w]``; all the randomness there is.
            numbers: int64 ``[B, L]``, the words; 0 for none.
            given: ``[B, k, c, h, w]``, the first k frames' latents; None for none.
            sampler: how; by default the config's own way.

        Returns:
            Latents ``[B, T, c, h, w]``; the given frames are in them as they came.
        """
        sampler = sampler or self.config.sampler
        text, mask = self.words(numbers)
        levels = diffusion.linear_schedule(sampler.num_steps, NOISIEST)
        levels = diffusion.shifted(levels, sampler.shift)[:, None].repeat(1, noise.shape[1])
        z = self.prediction.path.sigma(levels[0, :1]).item() * noise
        if given is not None:
            z = torch.cat([given, z[:, given.shape[1] :]], dim=1)
            levels[:, : given.shape[1]] = 0.0
        if sampler.guidance == 1:

            def denoise(z: Tensor, level: Tensor) -> Tensor:
                return self.denoise(z, level, text, mask)
        else:
            both, masks = text.repeat(2, 1, 1), torch.cat([mask, torch.zeros_like(mask)])

            def denoise_both(z: Tensor, level: Tensor) -> Tensor:
                return self.denoise(z, level, both, masks)

            denoise = diffusion.guided(denoise_both, sampler.guidance)
        return diffusion.sample(denoise, self.prediction.path, z, levels)

    def generate(
        self,
        texts: Sequence[str],
        first: Tensor | None = None,
        generator: torch.Generator | None = None,
        sampler: SamplerConfig | Mapping[str, Any] | None = None,
        frames: int | None = None,
    ) -> Tensor:
        """A video for each text: uint8 ``[B, T, C, H, W]``.

        Args:
            texts: B sentences; an empty one asks for anything.
            first: uint8 ``[B, k, C, H, W]``, frames that the videos begin with.
            generator: of the noise.
            sampler: how, or what differs from the config's own way.
            frames: T; by default the config's.

        Raises:
            UnknownWord: a word that the model has never read.
        """
        from wmlearn.world import choose_sampler

        config = self.config
        numbers = self.vocabulary.encode(texts).to(self.device)
        shape = len(texts), frames or config.frames, config.latent_channels, *config.latent_size
        source = generator.device if generator is not None else self.device
        noise = torch.randn(shape, generator=generator, device=source).to(self.device)
        given = None if first is None else self.encode(first.to(self.device))
        latents = self.sample(noise, numbers, given, choose_sampler(config.sampler, sampler))
        drawn = self.decode(latents)
        if first is None:
            return drawn
        return torch.cat([first.to(self.device), drawn[:, first.shape[1] :]], dim=1)

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

    Sampler = SamplerConfig

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, which is told in words what to show (a :class:`SoraWorld`).

        Args:
            sampler: how a video is drawn, or what differs from the config's own way.
        """
        from wmlearn.systems.sora.world import SoraWorld

        return SoraWorld(self, sampler)


def frame_features(numbers: Tensor, count: int) -> Tensor:
    """Sines and cosines of frame numbers ``[T]``: ``[T, count]``, float32.

    Waves of 64 frames at the longest, three to an octave: within a video of 16 frames the longest
    ones rise all the way, so that a product with a speed says how far something has come.
    """
    waves = 2 ** (torch.arange(count // 2, device=numbers.device) / 3) / 64
    angles = 2 * math.pi * numbers[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _one_each(frames: Tensor, noise: SampleNoise) -> Tensor:
    """One random frame of each clip ``[B, T, ...]``: ``[B, 1, ...]``."""
    one = noise.integers(frames.shape[1])
    return frames[torch.arange(len(frames), device=frames.device), one][:, None]


def _channels(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1)
