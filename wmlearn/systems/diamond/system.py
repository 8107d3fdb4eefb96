"""DIAMOND's world model as a LightningModule: what is trained, and with which loss.

Alonso et al. 2024, algorithm 1 (``update_diffusion_model`` and ``update_reward_end_model``); the
actor-critic that is trained in imagination is in ``wmlearn.agents``.
"""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float, to_uint8
from wmlearn.recipes.optim import adamw, scheduled, warmup_cosine
from wmlearn.systems.diamond.network import DiamondNetwork
from wmlearn.systems.diamond.sampler import sample

REWARD_END_MAX_GRAD_NORM = 100.0


class Diamond(DiamondNetwork, L.LightningModule):
    """The diffusion model of the next frame, and the model of reward and end, trained together.

    The two share no weights, so their losses may be summed: each gets its own gradient.

    Args:
        config: all numbers; ``wmlearn.systems.diamond.PAPER`` is the paper's. Those of a later
            round (see :class:`~wmlearn.systems.diamond.later_round.LaterRound`) do nothing here.
    """

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, clip_frames, C, H, W]`` with actions and rewards."""
        losses = self.losses(batch, step=self.global_step)
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        return sum(losses.values())

    def losses(self, clip: Clip, step: int = 0) -> dict[str, Tensor]:
        """The three losses, with the noise that belongs to training step ``step``."""
        clip.require("actions", "rewards", "terminated")
        noise = SampleNoise(
            self.config.seed, step, len(clip), self.global_rank, device=clip.frames.device
        )
        piece = self.random_piece(clip, noise)
        denoising, dreamed = self.denoising_loss(piece, noise)
        reward, end = self.reward_end_losses(clip, piece, dreamed)
        return {"denoising": denoising, "reward": reward, "end": end}

    def denoising_loss(self, piece: Clip, noise: SampleNoise) -> tuple[Tensor, Tensor]:
        """The denoiser's loss, and what it made of the frames after the context [B, k, C, H, W]."""
        frames = to_float(piece.frames)
        return self.denoiser.loss(frames, piece.actions, noise.normal, piece.real_frames)

    def reward_end_losses(self, clip: Clip, piece: Clip, dreamed: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of the reward's class and of the end, on real frames."""
        return self.reward_end.loss(
            to_float(clip.frames), clip.actions, clip.rewards, clip.terminated, clip.real_frames
        )

    def random_piece(self, clip: Clip, noise: SampleNoise) -> Clip:
        """n + k frames in a row of each clip: the denoiser needs no long ones."""
        length = self.config.denoiser.context_frames + self.config.autoregressive_steps
        if clip.length == length:
            return clip
        steps = torch.arange(length, device=clip.frames.device)
        start = noise.integers(clip.length - length + 1)
        window, rows = start[:, None] + steps, torch.arange(len(clip), device=steps.device)[:, None]
        between = window[:, :-1]
        return Clip(
            clip.frames[rows, window],
            clip.actions[rows, between],
            clip.rewards[rows, between],
            clip.terminated[rows, between],
            padded=~clip.real_frames[rows, window],
        )

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """PSNR of the next frame on held-out clips, beside copying the last frame; in dB."""
        n = self.config.denoiser.context_frames
        context, target = to_float(batch.frames[:, :n]), batch.frames[:, n]
        noise = SampleNoise(self.config.seed, batch_idx, len(batch), self.global_rank, self.device)
        frame = sample(
            self.denoiser,
            context,
            batch.actions[:, :n],
            noise.normal(*context[:, -1].shape),
            self.config.sampler,
        )
        metrics = {
            "val/psnr": psnr(to_uint8(frame), target).mean(),
            "val/psnr_copy": psnr(batch.frames[:, n - 1], target).mean(),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        config = self.config
        optimizer = adamw(self.parameters(), config.learning_rate, config.weight_decay)
        return scheduled(optimizer, warmup_cosine(config.warmup_steps, config.max_steps))

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Each model's gradient is clipped apart, as when they are trained one after the other."""
        clip_ = torch.nn.utils.clip_grad_norm_
        clip_(self.denoiser.parameters(), self.config.max_grad_norm)
        clip_(self.reward_end.parameters(), REWARD_END_MAX_GRAD_NORM)
