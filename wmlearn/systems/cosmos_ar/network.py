"""The networks of Cosmos's autoregressive family, as they play: ``system.py`` trains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from wmlearn.pixels import to_float
from wmlearn.systems.cosmos.network import OverTokenizerNetwork
from wmlearn.systems.cosmos_ar.config import CosmosARConfig, SamplerConfig
from wmlearn.systems.cosmos_ar.transformer import Transformer
from wmlearn.world import World, WorldModel


class CosmosARNetwork(OverTokenizerNetwork, WorldModel):
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
