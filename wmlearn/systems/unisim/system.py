"""UniSim as a LightningModule: what is trained, when, and with which loss.

Yang et al. 2023, section 3: one simulator learns from worlds with actions of different forms; and
section 4.2: what is left to do is read off a picture and a task, by a model of its own.
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
from wmlearn.recipes.optim import adamw, only_within, scheduled, warmup_cosine
from wmlearn.recipes.turns import Turns
from wmlearn.systems.unisim.actions import Actions
from wmlearn.systems.unisim.network import UniSimNetwork
from wmlearn.systems.unisim.steps import steps_of_what_is_said

PARTS = ("autoencoder", "simulator")


class UniSim(Turns, UniSimNetwork, L.LightningModule):
    """Autoencoder, simulator, and two models of the steps that are left.

    Args:
        config: all numbers; ``wmlearn.systems.unisim.PAPER`` is of the paper's size.
    """

    parts = PARTS

    # --- what is measured once, and what an error counts --------------------------------------

    @torch.no_grad()
    def measure_scale(self, frames: Tensor) -> None:
        """Sets the latents' scale from a sample of frames, uint8 ``[B, C, H, W]``."""
        z = self.autoencoder.encode(to_float(frames)).mean
        self.latent_mean.copy_(z.mean((0, 2, 3)))
        self.latent_std.copy_(z.std((0, 2, 3)))

    def measure_colors(self, frames: Tensor, domain: int = 0) -> None:
        """Sets a domain's weights of errors by color, from a sample uint8 ``[B, 3, H, W]``."""
        if self.config.rare_colors:
            self.color_weights[domain] = rare_color_weights(frames.cpu()).to(self.device)

    def pixel_weights(self, frames: Tensor, domain: Tensor) -> Tensor:
        """Weights of errors in the pixels of frames ``[B, 3, H, W]``: ``[B, 1, H, W]``."""
        if not self.config.rare_colors:
            return torch.ones_like(frames[:, :1], dtype=torch.float32)
        return self.color_weights[domain[:, None, None], color_bins(frames)][:, None]

    def emphasis(self, frames: Tensor, domain: Tensor) -> Tensor:
        """Weights of errors in each frame's latents, from the frame *before*: ``[B, T, 1, h, w]``.

        Positions around rare colors count more. (Weights of the frame that is to be drawn would
        teach the model that what is rare comes too often.)
        """
        batch, length = frames.shape[:2]
        each = self.pixel_weights(frames.flatten(0, 1), domain.repeat_interleave(length))
        pooled = F.avg_pool2d(each, self.config.autoencoder.factor)
        wide = F.max_pool2d(pooled, 3, stride=1, padding=1).unflatten(0, (batch, length))
        return torch.cat([wide[:, :1], wide[:, :-1]], dim=1)

    # --- training ------------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, T, C, H, W]``, of the part whose turn it is."""
        losses = self.losses(batch, self.parts_at(self.global_step), self.global_step)
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        loss = sum(losses.values())
        if losses and self.trainer.world_size == 1:
            return loss
        return loss + 0.0 * sum(p.flatten()[0] for p in self.parameters())  # DDP waits for all

    def losses(
        self, clip: Clip, parts: tuple[str, ...] = PARTS, step: int = 0, domain: int = 0
    ) -> dict[str, Tensor]:
        """The losses of some parts on clips of one domain, with the noise of a training step."""
        rank = 0 if self._trainer is None else self.global_rank
        noise = SampleNoise(self.config.seed, step, len(clip), rank, device=clip.frames.device)
        losses = {}
        if "autoencoder" in parts:
            rows = torch.arange(len(clip), device=clip.frames.device)
            frames = torch.cat([clip.frames[rows, noise.integers(clip.length)] for _ in range(2)])
            c, side = self.config.autoencoder.latent_channels, self.config.latent_size
            normal = noise.normal(len(clip), 2, c, side, side).transpose(0, 1).flatten(0, 1)
            losses["autoencoder"] = self.autoencoder_errors(
                frames, torch.full_like(normal[:, 0, 0, 0], domain).long(), normal
            ).mean()
        if "simulator" in parts:
            clip.require("actions", "terminated")
            with torch.no_grad():
                latents, actions, weight = self.prepare(clip, domain)
            real = clip.real_frames
            losses["simulator"] = self.simulator.loss(latents, actions, weight, real, noise)
            losses["steps"] = self.clip_steps_loss(clip, latents, actions, noise)
        return losses

    def autoencoder_errors(self, frames: Tensor, domain: Tensor, normal: Tensor) -> Tensor:
        """Autoencoder loss of frames: ``[B]``.

        Args:
            frames: uint8 ``[B, 3, H, W]``.
            domain: int64 ``[B]``.
            normal: ``[B, c, h, w]``, standard normal noise.
        """
        x = to_float(frames)
        drawn, latents = self.autoencoder(x, normal)
        errors = reconstruction_errors(drawn.float(), x, self.pixel_weights(frames, domain))
        return errors + self.config.kl_weight * latents.kl() / normal[0].numel()

    def prepare(self, clip: Clip, domain: int = 0) -> tuple[Tensor, Actions, Tensor]:
        """Latents, the actions that led to each frame, and what each position's error counts."""
        which = torch.full((len(clip),), domain, device=clip.frames.device)
        weight = self.emphasis(clip.frames, which)
        return self.encode(clip.frames).float(), self.led_to(clip.actions, which), weight

    def clip_steps_loss(
        self, clip: Clip, latents: Tensor, actions: Actions, noise: SampleNoise
    ) -> Tensor:
        """The loss of both models of steps to go, on what clips show.

        The goal is a later frame of the same clip, k steps ahead; in every other pair of clips of a
        language it is what is said, where the clip shows its end.
        """
        rank = 0 if self._trainer is None else self.global_rank
        rows = torch.arange(len(clip), device=latents.device)
        number = rows + rank * len(clip)  # in the joint batch
        ahead = 1 + noise.integers(clip.length - 1)
        goal, known = latents[rows, ahead], clip.real_frames[rows, ahead] & clip.real_frames[:, 0]
        task = None
        if self.steps_to_go.task:
            said, shown = steps_of_what_is_said(
                clip.frames, actions.sentence[:, 1:], clip.real_frames, clip.terminated
            )
            spoken = (number // 2 % 2 == 0) & (actions.sentence[:, 1] >= 0)
            task = self.simulator.actions.sentences(actions.sentence[:, 1]) * spoken[:, None]
            goal = goal * ~spoken.view(-1, 1, 1, 1)
            ahead, known = torch.where(spoken, said, ahead), torch.where(spoken, shown, known)
        half = number % 2 == 0
        return self.steps_loss(latents[:, 0], goal, task, ahead, known, half, noise)

    def steps_loss(
        self,
        latent: Tensor,
        goal: Tensor,
        task: Tensor | None,
        steps: Tensor,
        known: Tensor,
        half: Tensor,
        noise: SampleNoise,
    ) -> Tensor:
        """The summed loss of the two models, each on its own half of the data.

        Args:
            latent, goal, task, steps: as in :meth:`StepsToGo.loss`.
            known: bool ``[B]``, whether ``steps`` is.
            half: bool ``[B]``: true for the reward's half, false for its judge's.
            noise: dreams are noisy, so latents get some.
        """
        level = 0.2 * noise.uniform(len(latent), 1, 1, 1)
        latent = latent + level * noise.normal(*latent.shape)
        reward = self.steps_to_go.loss(latent, goal, task, steps)
        judge = self.judge.loss(latent, goal, task if task is None else task.detach(), steps)
        return (torch.where(half, reward, judge) * known).mean()

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

    @torch.no_grad()
    def next_frames(self, clip: Clip, noise: SampleNoise, domain: int = 0) -> Tensor:
        """The last frame of clips, drawn from those before it: uint8 ``[B, C, H, W]``."""
        which = torch.full((len(clip),), domain, device=clip.frames.device)
        latents = self.encode(clip.frames[:, :-1]).float()
        vectors = self.simulator.actions(self.led_to(clip.actions, which))
        sampler, cache = self.config.sampler, self.simulator.transformer.start(len(clip))
        cache, last = self.simulator.remember(
            cache, latents, vectors[:, :-1], sampler.history_noise
        )
        start = noise.normal(*latents[:, 0].shape)
        drawn = self.simulator.draw(cache, last, vectors[:, -1], start, sampler)
        return to_uint8(self.decode(drawn))

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """PSNR in dB on held-out clips: next frame, autoencoder, and copying the last frame."""
        noise = SampleNoise(self.config.seed, batch_idx, len(batch), self.global_rank, self.device)
        target = batch.frames[:, -1]
        metrics = {
            "val/psnr": psnr(self.next_frames(batch, noise), target).mean(),
            "val/psnr_autoencoder": psnr(to_uint8(self.decode(self.encode(target))), target).mean(),
            "val/psnr_copy": psnr(batch.frames[:, -2], target).mean(),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """One AdamW; the learning rate of what is out of its turn is zero."""
        config, schedules = self.config, []
        groups = [{"params": [p for m in part for p in m.parameters()]} for part in self._groups()]
        for part in PARTS:
            begin, end = self._span(part)
            cosine = warmup_cosine(config.warmup_steps, end - begin, begin)
            schedules.append(only_within(cosine, begin, end))
        return scheduled(adamw(groups, config.learning_rate, config.weight_decay), schedules)

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Clips the gradient; what is out of its turn is left as it is."""
        parts = self.parts_at(self.global_step)
        for part, modules in zip(PARTS, self._groups(), strict=True):
            for module in modules if part not in parts else ():
                module.zero_grad(set_to_none=True)
        nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)

    def _groups(self) -> tuple[tuple[nn.Module, ...], ...]:
        """The modules of each of ``PARTS``."""
        return (self.autoencoder,), (self.simulator, self.steps_to_go, self.judge)
