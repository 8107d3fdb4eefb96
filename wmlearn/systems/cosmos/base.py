"""What Cosmos's two families share in training: the tokenizer's loss, and whose turn it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.nn.autoencoder import color_bins, rare_color_weights
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float
from wmlearn.recipes.optim import Schedule, adamw, only_within, scheduled, warmup_cosine
from wmlearn.recipes.turns import Turns


class OverTokenizer(Turns):
    """How an ``OverTokenizerNetwork`` learns in a ``LightningModule``: one part after the other.

    A subclass gives the loss of the model; its config has all that the optimizer asks for, as
    ``CosmosConfig``.
    """

    part: str

    @property
    def parts(self) -> tuple[str, ...]:
        return "tokenizer", self.part

    def model_loss(self, clip: Clip, noise: SampleNoise) -> Tensor:
        """Its loss on one batch."""
        raise NotImplementedError

    def tokenizer_has_learned(self, frames: Tensor) -> None:
        """Called once, with the frames uint8 ``[B, T, C, H, W]`` of all processes."""

    # --- what is trained -------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips, of the part whose turn it is."""
        losses = self.losses(batch, self.parts_at(self.global_step), self.global_step)
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        loss = sum(losses.values())
        if losses and self.trainer.world_size == 1:
            return loss
        return loss + 0.0 * sum(p.flatten()[0] for p in self.parameters())  # DDP waits for all

    def losses(
        self, clip: Clip, parts: tuple[str, ...] | None = None, step: int = 0
    ) -> dict[str, Tensor]:
        """The losses of some parts, with the noise that belongs to training step ``step``."""
        parts = self.parts if parts is None else parts
        rank = 0 if self._trainer is None else self.global_rank
        noise = SampleNoise(self.config.seed, step, len(clip), rank, device=clip.frames.device)
        losses = {}
        if "tokenizer" in parts:
            losses["tokenizer"] = self.tokenizer_loss(clip.frames).mean()
        if self.part in parts:
            losses[self.part] = self.model_loss(clip, noise)
        return losses

    def tokenizer_loss(self, frames: Tensor) -> Tensor:
        """Tokenizer loss of frames uint8 ``[B, T, C, H, W]``: ``[B]``.

        Absolute errors (the paper's), those of the gradients, and squared ones: the latter two
        stand where the paper has a perceptual loss.
        """
        config, video, axes = self.config, to_float(frames), (1, 2, 3, 4)
        error = self.tokenizer.decode(self.tokenizer.encode(video)) - video
        across = (error[..., 1:] - error[..., :-1]).abs().mean(axes)
        down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean(axes)
        size, squared = (self.pixel_weights(frames) * error.abs()).mean(axes), error.square()
        rough = config.gradient_weight * (across + down)
        return size + rough + config.squared_weight * squared.mean(axes)

    def pixel_weights(self, frames: Tensor) -> Tensor:
        """Weight of an error in each pixel, ``[B, T, 1, H, W]``, for uint8 ``[B, T, C, H, W]``."""
        if not self.config.rare_colors:
            return torch.ones_like(frames[:, :, :1], dtype=torch.float32)
        bins = color_bins(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return self.color_weights[bins].unsqueeze(2)

    def windows(self, length: int, latents: int, uniform: Tensor) -> Tensor:
        """Where in clips of ``latents`` latents a sequence of ``length`` lies.

        It begins anywhere, drawn by ``uniform`` ``[B]``: in play, too, the sequence slides, and its
        first latent is a picture only in the beginning.

        Returns:
            int64 ``[B, length]``.
        """
        begin = (uniform * (latents - length + 1)).long()
        return begin[:, None] + torch.arange(length, device=begin.device)

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """Colors are counted at the start; the model's part begins when the tokenizer has learned.

        Both from one batch of all processes; a resumed run has them in its checkpoint.
        """
        step, learned = self.global_step, self._span("tokenizer")[1]
        if step and not (learned and step == math.ceil(learned)):
            return
        frames = self._of_all_processes(batch.frames)
        if step == 0 and self.config.rare_colors:
            self.color_weights.copy_(rare_color_weights(frames.flatten(0, 1).cpu()))
        if step:
            self.tokenizer_has_learned(frames)

    def _shares(self, part: str) -> tuple[float, float]:
        return self.config.tokenizer_span if part == "tokenizer" else self.config.model_span

    def configure_optimizers(self) -> dict:
        """One AdamW; the learning rate of what is out of its turn is zero."""
        config = self.config
        parts = {"tokenizer": config.tokenizer_rate, self.part: config.learning_rate}
        groups = [
            {"params": list(getattr(self, part).parameters()), "lr": rate}
            for part, rate in parts.items()
        ]

        def schedule(part: str) -> Schedule:
            begin, end = self._span(part)
            return only_within(warmup_cosine(config.warmup_steps, end - begin, begin), begin, end)

        optimizer = adamw(groups, config.learning_rate, config.weight_decay, config.betas)
        return scheduled(optimizer, [schedule(part) for part in parts])

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Clips the gradient; what is out of its turn is left as it is."""
        turn = self.parts_at(self.global_step)
        for part in self.parts:
            if part not in turn:
                getattr(self, part).zero_grad(set_to_none=True)
        nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)
