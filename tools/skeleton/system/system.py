"""My Model as a LightningModule: what is trained, and with which loss.

Give the paper's equation here, and its symbols below:

    minimize  || x_t + f(x_<=t, a_<=t) - x_(t+1) ||^2.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from wmlearn.systems.mymodel.config import MyModelConfig
from wmlearn.systems.mymodel.network import Network
from wmlearn.systems.mymodel.world import MyModelWorld

from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.nn.masked import masked_mean
from wmlearn.pixels import to_float, to_uint8
from wmlearn.recipes.optim import adamw, scheduled, warmup_cosine
from wmlearn.world import WorldModel, choose_sampler


class MyModel(L.LightningModule, WorldModel):
    """Predicts the next frame from the last ones and the actions.

    Args:
        config: all numbers; ``wmlearn.systems.mymodel.PAPER`` is the paper's.
    """

    def __init__(self, config: MyModelConfig) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = Network(config)

    def predict(self, frames: Tensor, actions: Tensor) -> Tensor:
        """The next frame [B, C, H, W] after ``frames`` [B, n, C, H, W] and ``actions`` [B, n]."""
        return frames[:, -1] + self.network(frames, actions)

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, n + 1, C, H, W]`` with actions."""
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def loss(self, clip: Clip) -> Tensor:
        """The mean square error of the frame after the first n; padding counts as 0."""
        clip.require("actions")
        n = self.config.context_frames
        frames = to_float(clip.frames)
        error = (self.predict(frames[:, :n], clip.actions[:, :n]) - frames[:, n]).square()
        return masked_mean(error.mean((1, 2, 3)), clip.real_frames[:, n])

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """PSNR of the next frame on held-out clips, beside copying the last frame; in dB."""
        n = self.config.context_frames
        frame = self.predict(to_float(batch.frames[:, :n]), batch.actions[:, :n])
        metrics = {
            "val/psnr": psnr(to_uint8(frame), batch.frames[:, n]).mean(),
            "val/psnr_copy": psnr(batch.frames[:, n - 1], batch.frames[:, n]).mean(),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        config = self.config
        optimizer = adamw(self.parameters(), config.learning_rate, config.weight_decay)
        return scheduled(optimizer, warmup_cosine(config.warmup_steps, config.max_steps))

    def world(self, sampler: Any = None) -> MyModelWorld:
        """The learned world; nothing in it is drawn at random, so there is no sampler."""
        choose_sampler(None, sampler)  # refuses one
        return MyModelWorld(self)
