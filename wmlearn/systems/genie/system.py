"""Genie as a LightningModule: what is trained, when, and with which loss.

Bruce et al. 2024, section 2.2: the tokenizer first, then the latent action model (on pixels) and
the dynamics model (on tokens) together. The config's stretches (``*_span``) decide.
"""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.metrics import code_counts, fraction_used, perplexity, psnr
from wmlearn.nn.noise import SampleNoise
from wmlearn.nn.quantize import VectorQuantizer
from wmlearn.pixels import to_float, to_uint8
from wmlearn.recipes.optim import adamw, only_within, scheduled, warmup_cosine
from wmlearn.systems.genie.config import GenieConfig
from wmlearn.systems.genie.dynamics import training_mask
from wmlearn.systems.genie.hardening import draw_own_tokens, press_otherwise
from wmlearn.systems.genie.network import GenieNetwork

PARTS = ("tokenizer", "actions", "dynamics")


class Genie(GenieNetwork, L.LightningModule):
    """The tokenizer, the latent action model and the dynamics model.

    It learns from clips without actions; what a clip holds beside its frames is never looked at.

    Args:
        config: all numbers; ``wmlearn.systems.genie.PAPER`` is the paper's.
    """

    def __init__(self, config: GenieConfig) -> None:
        super().__init__(config)
        self._chosen: dict[str, Tensor] = {}
        self._counted: dict[str, Tensor] = {}

    # --- training ------------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, T, C, H, W]``, of the parts whose turn it is."""
        step = self.global_step
        parts = self.parts_at(step)
        losses, codes = self.losses(batch, parts, step)
        self._chosen = {name: chosen.detach() for name, chosen in codes.items()}
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        if parts and self._single_process:
            return sum(losses.values())
        idle = [p for name in PARTS if name not in parts for p in self._part(name).parameters()]
        return sum(losses.values()) + 0.0 * sum(p.flatten()[0] for p in idle)  # DDP waits for all

    def losses(
        self, clip: Clip, parts: tuple[str, ...] = PARTS, step: int = 0
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The losses by part, and the codes that the quantizers chose.

        Masks are those that belong to training step ``step``.
        """
        frames = to_float(clip.frames)
        losses, codes = {}, {}
        if "tokenizer" in parts:
            tokenized = self.tokenizer(frames)
            losses["tokenizer"], codes["tokenizer"] = tokenized.loss, tokenized.codes
        if "actions" in parts or "dynamics" in parts:
            tokens = None
            if "dynamics" in parts or self.config.actions.sees == "tokens":
                tokens = codes.get("tokenizer")
                tokens = self.tokenizer.encode(frames) if tokens is None else tokens
            with torch.set_grad_enabled(torch.is_grad_enabled() and "actions" in parts):
                inferred = self.actions(self._action_input(frames, tokens))
            if "actions" in parts:
                losses["actions"], codes["actions"] = inferred.loss, inferred.codes
        if "dynamics" in parts:
            noise = SampleNoise(
                self.config.seed, step, len(clip), self.global_rank, device=frames.device
            )
            shape = tokens.shape
            mask = training_mask(
                noise.uniform(shape[0]),
                noise.uniform(*shape[:2]),
                noise.uniform(*shape),
                self.config.dynamics,
            )
            # The dynamics' loss does not reach the latent actions (section 2.1: stop gradient).
            masked = self._of_all_processes(mask[:, 1:].sum().float()).mean()
            pressed, seen = self._as_at_play(tokens, inferred.codes, noise)
            loss, _ = self.dynamics.loss(tokens, pressed.detach(), mask, masked, seen)
            losses["dynamics"] = loss
        return losses, codes

    def _as_at_play(
        self, tokens: Tensor, codes: Tensor, noise: SampleNoise
    ) -> tuple[Tensor, Tensor]:
        """What the dynamics is told in training: vectors of actions, and the past's tokens."""
        config, (batch, steps) = self.config, codes.shape
        codes = press_otherwise(
            codes,
            noise.uniform(batch, 3),
            noise.uniform(batch, steps, 2),
            config.actions.num_actions,
            config.dynamics,
        )
        pressed = self.actions.quantizer.vectors(codes)
        if not config.dynamics.own_tokens:  # it costs a forward pass
            return pressed, tokens
        uniform = noise.uniform(batch, 2), noise.uniform(*tokens.shape, 2)
        draw, mask_token = self.dynamics, self.dynamics.mask_token
        return pressed, draw_own_tokens(
            lambda hidden: draw(hidden, pressed), tokens, *uniform, mask_token, config.dynamics
        )

    def parts_at(self, step: int) -> tuple[str, ...]:
        """Whose turn it is at a training step: a choice by the step's number alone."""
        share = min(step / max(self.config.max_steps, 1), 1 - 1e-9)
        return tuple(name for name in PARTS if self._span(name)[0] <= share < self._span(name)[1])

    # --- codes that died -----------------------------------------------------------------------

    def on_train_batch_end(self, outputs, batch: Clip, batch_idx: int) -> None:
        """Counts the codes of both quantizers; every few steps, moves those that died."""
        every, step = self.config.revive_every, self.global_step
        for number, (name, chosen) in enumerate(sorted(self._chosen.items())):
            quantizer = self._part(name).quantizer
            if not every or not isinstance(quantizer, VectorQuantizer):
                continue
            # no buffer: DDP would overwrite it with the first process's at every step
            counts = code_counts(chosen, quantizer.num_codes)
            before = self._counted.get(name)
            self._counted[name] = counts if before is None else counts + before.to(counts.device)
            if step % every == 0:
                total = self._total(self._counted.pop(name))
                seed = (self.config.seed * 1_000_003 + step) * 2 + number
                quantizer.revive(total, torch.Generator().manual_seed(seed))

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """What was counted since the last revival decides the next one."""
        checkpoint["counted"] = {name: self._total(n) for name, n in self._counted.items()}

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """The first process goes on with the sum of all, the others from nothing."""
        self._counted = checkpoint["counted"] if self.global_rank == 0 else {}

    def _total(self, counts: Tensor) -> Tensor:
        """The sum of what each process counted."""
        return self._of_all_processes(counts).sum(0)

    def _of_all_processes(self, x: Tensor) -> Tensor:
        """``[...]`` of each process -> ``[processes, ...]``."""
        return x[None] if self._single_process else self.all_gather(x).view(-1, *x.shape)

    @property
    def _single_process(self) -> bool:
        return self._trainer is None or self.trainer.world_size == 1

    # --- validation and optimizer ----------------------------------------------------------------

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """On held-out clips: PSNR (dB) of the tokenizer and of the next frame, and code usage."""
        frames = to_float(batch.frames)
        tokens = self.tokenizer.encode(frames)
        drawn = to_uint8(self.tokenizer.decode(tokens))
        inferred = self.actions(self._action_input(frames, tokens))
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, -1] = True  # the last frame from all the others, in one pass
        hidden = torch.where(mask, self.dynamics.mask_token, tokens)
        logits = self.dynamics(hidden, inferred.vectors)[:, -1:]
        guess = torch.cat([tokens[:, :-1], logits.argmax(-1)], dim=1)
        last = to_uint8(self.tokenizer.decode(guess))[:, -1]
        used = code_counts(inferred.codes, self.config.actions.num_actions)
        words = code_counts(tokens, self.config.tokenizer.vocabulary)
        metrics = {
            "val/psnr_tokenizer": psnr(drawn, batch.frames).mean(),
            "val/psnr": psnr(last, batch.frames[:, -1]).mean(),
            "val/psnr_copy": psnr(batch.frames[:, -2], batch.frames[:, -1]).mean(),
            "val/token_accuracy": (guess[:, -1] == tokens[:, -1]).float().mean(),
            "val/action_error": inferred.reconstruction,
            "val/action_perplexity": perplexity(used),
            "val/token_perplexity": perplexity(words),
            "val/tokens_used": fraction_used(words),
        }
        metrics = {name: value.float() for name, value in metrics.items()}
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        """One AdamW with a group for each part, whose learning rate is zero out of its turn."""
        config = self.config
        groups = [{"params": list(self._part(name).parameters())} for name in PARTS]
        optimizer = adamw(groups, config.learning_rate, config.weight_decay, betas=(0.9, 0.95))
        schedules = []
        for name in PARTS:
            begin, end = (share * config.max_steps for share in self._span(name))
            cosine = warmup_cosine(config.warmup_steps, end - begin, begin)
            schedules.append(only_within(cosine, begin, end))
        return scheduled(optimizer, schedules)

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        """Each part's gradient is clipped apart, as when they are trained one after the other."""
        parts = self.parts_at(self.global_step)
        for name in PARTS:
            if name in parts:
                norm = self.config.max_grad_norm
                torch.nn.utils.clip_grad_norm_(self._part(name).parameters(), norm)
            else:
                self._part(name).zero_grad(set_to_none=True)  # the optimizer leaves it alone

    def _span(self, name: str) -> tuple[float, float]:
        return getattr(self.config, f"{name}_span")

    def _part(self, name: str) -> nn.Module:
        return getattr(self, name)
