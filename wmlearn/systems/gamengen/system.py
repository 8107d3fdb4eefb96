"""GameNGen as a LightningModule: what is trained, when, and with which loss.

Valevski et al. 2024, section 3: an autoencoder turns frames into latents, a diffusion model draws
the next latent from past ones and actions, and the decoder is fine-tuned in the end.
"""

from __future__ import annotations

import math

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.autoencoder import (
    color_bins,
    rare_color_weights,
    reconstruction_errors,
)
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float, to_uint8
from wmlearn.recipes.optim import Schedule, adamw, only_within, scheduled, warmup_cosine
from wmlearn.recipes.turns import Turns
from wmlearn.systems.gamengen.network import GameNGenNetwork

PARTS = ("autoencoder", "denoiser", "decoder")


class GameNGen(Turns, GameNGenNetwork, L.LightningModule):
    """Autoencoder, denoiser of latents, and a small model of reward and end.

    Args:
        config: all numbers; ``wmlearn.systems.gamengen.PAPER`` is the paper's.
    """

    parts = PARTS

    # --- frames and latents --------------------------------------------------------------------

    @torch.no_grad()
    def measure_scale(self, frames: Tensor) -> None:
        """Sets the latents' scale from a sample of frames, uint8 ``[B, C, H, W]``."""
        z = self.autoencoder.encode(to_float(frames)).mean
        self.latent_mean.copy_(z.mean((0, 2, 3)))
        self.latent_std.copy_(z.std((0, 2, 3)))

    def measure_colors(self, frames: Tensor) -> None:
        """Sets the weights of errors by color, from a sample of frames, uint8 ``[B, 3, H, W]``."""
        if self.config.rare_colors:
            self.color_weights.copy_(rare_color_weights(frames.cpu()))

    def pixel_weights(self, frames: Tensor) -> Tensor:
        """Weight of an error in each pixel, ``[B, 1, H, W]``, for uint8 frames ``[B, C, H, W]``."""
        if not self.config.rare_colors:
            return torch.ones_like(frames[:, :1], dtype=torch.float32)
        return self.color_weights[color_bins(frames)][:, None]

    def latent_weights(self, frames: Tensor) -> Tensor:
        """The same for latents' positions, ``[B, 1, h, w]``."""
        return F.avg_pool2d(self.pixel_weights(frames), self.config.autoencoder.factor)

    @staticmethod
    def emphasis(weights: Tensor) -> Tensor:
        """Weights of the denoiser's errors, from the *last context frame's* weights [B, 1, h, w].

        Positions around rare colors count more. Weights of the frame to be predicted must not be
        taken: with them a monster that is there half of the time would be learned as one that is
        there almost always, and dreams fill with monsters.
        """
        return F.max_pool2d(weights, 3, stride=1, padding=1)

    # --- training ------------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, n + 1, C, H, W]``, of the parts whose turn it is."""
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
        if "denoiser" in parts:
            losses |= self.denoiser_losses(*self.prepare(clip), noise.normal)
        if "autoencoder" in parts or "decoder" in parts:
            frames = self._one_and_the_hardest(clip.frames, noise)
        if "autoencoder" in parts:
            shape = self.config.autoencoder.latent_channels, *2 * (self.config.latent_size,)
            normal = noise.normal(len(clip), 2, *shape).flatten(0, 1)
            losses["autoencoder"] = self.autoencoder_errors(frames, normal).mean()
        if "decoder" in parts:
            losses["decoder"] = self.decoder_errors(frames).mean()
        return losses

    def autoencoder_errors(self, frames: Tensor, normal: Tensor) -> Tensor:
        """Autoencoder loss of frames uint8 ``[B, C, H, W]``: [B]; normal [B, c, h, w]."""
        x = to_float(frames)
        drawn, latents = self.autoencoder(x, normal)
        errors = reconstruction_errors(drawn.float(), x, self.pixel_weights(frames))
        return errors + self.config.kl_weight * latents.kl() / normal[0].numel()

    def decoder_errors(self, frames: Tensor) -> Tensor:
        """Loss of each frame for the decoder alone (section 3.3): [B]."""
        with torch.no_grad():
            latents = self.encode(frames)
        return reconstruction_errors(
            self.decode(latents),
            to_float(frames),
            self.pixel_weights(frames),
            self.config.decoder_absolute,
        )

    def denoiser_losses(
        self,
        latents: Tensor,
        actions: Tensor,
        reward: Tensor,
        terminated: Tensor,
        weight: Tensor,
        noise,
    ) -> dict[str, Tensor]:
        """Losses of the last latent of each window.

        Args:
            latents: ``[B, n + 1, c, h, w]``, scaled.
            actions: int64 ``[B, n]``.
            reward, terminated: ``[B]``, of the last step.
            weight: ``[B, 1, h, w]``, of the positions; see :meth:`emphasis`.
            noise: draws standard normal noise of a given shape.
        """
        context, target = latents[:, :-1], latents[:, -1]
        denoising = self.denoiser.loss(context, target, actions, noise, weight).mean()
        k = min(self.config.reward_end.frames, latents.shape[1])
        level = 0.5 * torch.special.ndtr(noise(len(latents), 1, 1, 1, 1))  # dreams are noisy, too
        seen = latents[:, -k:] + level * noise(*latents[:, -k:].shape)
        read = self.reward_end.loss(seen, actions[:, 1 - k :], reward, terminated).mean()
        return {"denoising": denoising, "reward_end": read}

    @torch.no_grad()
    def prepare(self, clip: Clip) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What :meth:`denoiser_losses` asks for, from the first n + 1 frames of clips."""
        clip.require("actions", "rewards", "terminated")
        window = clip.time(0, self.config.denoiser.context_frames + 1)
        return (
            self.encode(window.frames),
            window.actions,
            window.rewards[:, -1],
            window.terminated[:, -1],
            self.emphasis(self.latent_weights(window.frames[:, -2])),
        )

    @torch.no_grad()
    def _one_and_the_hardest(self, frames: Tensor, noise: SampleNoise) -> Tensor:
        """Of each clip ``[B, T, ...]`` a random frame, and that with the largest error: [2 B, ...].

        Half of what is learned is thus what is hard: frames with monsters, shots and new numbers.
        """
        batch, length = frames.shape[:2]
        one = noise.integers(length)
        errors = self.decoder_errors(frames.flatten(0, 1)).view(batch, length)
        rows = torch.arange(batch, device=frames.device)
        return torch.stack([frames[rows, one], frames[rows, errors.argmax(1)]], 1).flatten(0, 1)

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """Colors are counted at the start, the latents' scale when the autoencoder has learned.

        Both from one batch of all processes; a resumed run has them in its checkpoint.
        """
        step, learned = self.global_step, self._span("autoencoder")[1]
        if step == 0:
            self.measure_colors(self._of_all_processes(batch.frames).flatten(0, 1))
        if learned and step == math.ceil(learned):
            self.measure_scale(self._of_all_processes(batch.frames).flatten(0, 1))

    # --- validation and optimizer --------------------------------------------------------------

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """PSNR in dB on held-out clips: next frame, autoencoder, and copying the last frame."""
        latents, actions, *_ = self.prepare(batch)
        noise = SampleNoise(self.config.seed, batch_idx, len(batch), self.global_rank, self.device)
        n = self.config.denoiser.context_frames
        target = batch.frames[:, n]
        drawn = self.denoiser.sample(latents[:, :-1], actions, noise.normal, self.config.sampler)
        metrics = {
            "val/psnr": psnr(to_uint8(self.decode(drawn)), target).mean(),
            "val/psnr_autoencoder": psnr(to_uint8(self.decode(latents[:, -1])), target).mean(),
            "val/psnr_copy": psnr(batch.frames[:, n - 1], target).mean(),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """One AdamW; the learning rate of what is out of its turn is zero."""
        config = self.config
        turns = (("autoencoder",), ("autoencoder", "decoder"), ("denoiser",))
        groups = [{"params": [p for m in part for p in m.parameters()]} for part in self._groups()]

        def schedule(part: str) -> Schedule:
            begin, end = self._span(part)
            cosine = warmup_cosine(config.warmup_steps, end - begin, begin)
            return only_within(cosine, begin, end)

        def rate(parts: tuple[str, ...]) -> Schedule:
            schedules = [schedule(part) for part in parts]
            return lambda step: max(at(step) for at in schedules)

        optimizer = adamw(groups, config.learning_rate, config.weight_decay)
        return scheduled(optimizer, [rate(parts) for parts in turns])

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Clips the gradient; what is out of its turn is left as it is."""
        parts = set(self.parts_at(self.global_step))
        encoder, decoder, dreams = self._groups()
        idle = () if "autoencoder" in parts else encoder
        idle += () if parts & {"autoencoder", "decoder"} else decoder
        idle += () if "denoiser" in parts else dreams
        for module in idle:
            module.zero_grad(set_to_none=True)
        nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)

    def _groups(self) -> tuple[tuple[nn.Module, ...], ...]:
        """The modules of encoder, decoder and dreams."""
        a = self.autoencoder
        return (
            (a.encoder, a.quant_conv), (a.decoder, a.post_quant_conv),
            (self.denoiser, self.reward_end),
        )  # fmt: skip
