"""Cosmos's autoregressive family as a LightningModule: a language model over FSQ codes.

NVIDIA 2025, section 5.2: the discrete tokenizer turns video into codes, a transformer learns to
say the next one; here with actions, which are added to the tokens of the frame that they lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float, to_uint8
from wmlearn.systems.cosmos.base import OverTokenizer
from wmlearn.systems.cosmos_ar.config import CosmosARConfig, SamplerConfig
from wmlearn.systems.cosmos_ar.transformer import Transformer
from wmlearn.world import World, WorldModel


class CosmosAR(OverTokenizer, WorldModel):
    """Discrete tokenizer, and the language model of its codes.

    Args:
        config: all numbers; ``wmlearn.systems.cosmos_ar.PAPER_4B`` is the paper's.
    """

    part = "transformer"
    Sampler = SamplerConfig

    def __init__(self, config: CosmosARConfig) -> None:
        if not config.tokenizer.levels:
            raise ValueError("A language model needs codes: give tokenizer.levels.")
        super().__init__(config)

    def build_model(self) -> Transformer:
        return Transformer(self.config)

    def codes(self, frames: Tensor) -> Tensor:
        """uint8 ``[B, T, C, H, W]``, T = 1 + a multiple of the ratio -> int64 ``[B, t, h, w]``."""
        return self.tokenizer.codes(to_float(frames))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[B, t, h, w]`` -> video ``[B, T, C, H, W]``, about in [-1, 1]."""
        return self.tokenizer.decode(self.tokenizer.vectors(codes))

    def model_loss(self, clip: Clip, noise: SampleNoise) -> Tensor:
        """Section 5.2.2, on a sequence of each clip."""
        codes, actions = self.sequences(clip, noise.uniform(len(clip)))
        return self.transformer.loss(codes.flatten(1), actions).mean()

    @torch.no_grad()
    def sequences(self, clip: Clip, uniform: Tensor) -> tuple[Tensor, Tensor | None]:
        """Codes ``[B, t, h, w]`` and the actions ``[B, t, A]`` (or None) that led to them."""
        if self.action_dim:
            clip.require("actions")
        codes = self.codes(clip.frames)
        t = min(self.config.transformer.latent_frames, codes.shape[1])
        index = self.windows(t, codes.shape[1], uniform)
        rows = torch.arange(len(clip), device=index.device)[:, None]
        actions = self.actions_of(clip.actions, codes.shape[1])
        return codes[rows, index], None if actions is None else actions[rows, index]

    @torch.no_grad()
    def draw(
        self,
        before: Tensor,
        new: int,
        uniform: Callable[..., Tensor],
        sampler: SamplerConfig,
        actions: Tensor | None = None,
    ) -> Tensor:
        """Draws the latent frames that follow, token by token.

        Args:
            before: int64 ``[B, n, h, w]``, n >= 1.
            new: how many to draw; n + new at most ``latent_frames``.
            uniform: draws uniform numbers of a given shape.
            sampler: how.
            actions: ``[B, n + new, A]``.

        Returns:
            int64 ``[B, new, h, w]``.
        """
        known, (batch, _, *size) = before.flatten(1), before.shape
        count = new * self.transformer.frame_tokens
        shifted = torch.cat([torch.full_like(known[:, :1], -1), known], dim=1)
        numbers, drawn = uniform(count, batch), []
        logits, cache = self.transformer.step(shifted, self.transformer.start(batch), actions)
        for i in range(count):
            drawn.append(choose(logits[:, -1], numbers[i], sampler))
            if i + 1 < count:
                logits, cache = self.transformer.step(drawn[-1][:, None], cache, actions)
        return torch.stack(drawn, dim=1).view(batch, new, *size)

    # --- validation ------------------------------------------------------------------------------

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """Nats a token, and PSNR in dB of the tokenizer, on held-out clips."""
        noise = SampleNoise(self.config.seed, batch_idx, len(batch), self.global_rank, self.device)
        codes, actions = self.sequences(batch, noise.uniform(len(batch)))
        shown = to_uint8(self.decode(self.codes(batch.frames)))
        metrics = {
            "val/nats": self.transformer.loss(codes.flatten(1), actions).mean(),
            "val/psnr_tokenizer": psnr(shown, batch.frames).mean(),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def world(self, sampler: SamplerConfig | Mapping[str, Any] | None = None) -> World:
        """The learned world, to be driven in (a :class:`CosmosARWorld`).

        Args:
            sampler: how tokens are drawn, or what differs from the config's own way:
                ``{"temperature": 0}``.
        """
        from wmlearn.systems.cosmos_ar.world import CosmosARWorld

        return CosmosARWorld(self, sampler)


def choose(logits: Tensor, uniform: Tensor, sampler: SamplerConfig) -> Tensor:
    """One token of each row: nucleus sampling (Holtzman et al. 2020), by uniform numbers.

    Args:
        logits: ``[B, K]``.
        uniform: ``[B]``, in [0, 1).
        sampler: how.

    Returns:
        int64 ``[B]``.
    """
    if sampler.temperature == 0:
        return logits.argmax(-1)
    share, order = (logits / sampler.temperature).softmax(-1).sort(-1, descending=True)
    before = share.cumsum(-1) - share
    share = share * (before < sampler.top_p)  # the first is always kept
    cumulative = share.cumsum(-1)
    place = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(-1, keepdim=True)
    return order.gather(-1, place.clamp(max=order.shape[-1] - 1)).squeeze(-1)
