"""Cosmos's autoregressive family as a LightningModule: a language model over FSQ codes.

NVIDIA 2025, section 5.2: the discrete tokenizer turns video into codes, a transformer learns to
say the next one; here with actions, which are added to the tokens of the frame that they lead to.
"""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_uint8
from wmlearn.systems.cosmos.base import OverTokenizer
from wmlearn.systems.cosmos_ar.network import CosmosARNetwork


class CosmosAR(OverTokenizer, CosmosARNetwork, L.LightningModule):
    """Discrete tokenizer, and the language model of its codes.

    Args:
        config: all numbers; ``wmlearn.systems.cosmos_ar.PAPER_4B`` is the paper's.
    """

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
