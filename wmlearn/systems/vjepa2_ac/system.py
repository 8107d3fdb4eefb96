"""V-JEPA 2-AC as a LightningModule: a predictor of features over an encoder that never changes.

V-JEPA 2 (Assran et al. 2025), section 3.1 and equations 2 to 4; facebookresearch/vjepa2,
app/vjepa_droid/train.py.

Shapes: B clips, T frames, N patches of a frame, D the encoder's width, A and S numbers in an
action and in the arm's state.
"""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.nn.masked import masked_mean
from wmlearn.recipes.optim import adamw, scheduled, warmup_cosine
from wmlearn.systems.vjepa2_ac.network import VJEPA2ACNetwork

MEASURED = 20  # training batches for the features' mean and spread


class VJEPA2AC(VJEPA2ACNetwork, L.LightningModule):
    """A frozen V-JEPA encoder, and a predictor of what an action does to its features.

    Args:
        config: all numbers.
    """

    def on_fit_start(self) -> None:
        """Measures the features' mean and spread on the first clips, once."""
        measured = bool((self.feature_std != 1).any())
        if self.config.normalize == "recording" and not measured:
            frames = [self.trainer.datamodule.train_batch(k).frames for k in range(MEASURED)]
            z = self.encode(torch.cat(frames).to(self.device)).flatten(0, 1)
            self.feature_mean.copy_(z.mean(0))
            self.feature_std.copy_((z - z.mean(0)).square().mean((0, 1)).sqrt().clamp(min=1e-3))

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, T, C, H, W]`` with actions and states."""
        losses = self.losses(batch)
        self.log_dict({f"train/{name}": value for name, value in losses.items()})
        return sum(losses.values())

    def losses(self, clip: Clip) -> dict[str, Tensor]:
        """L1 with the real frame before (teacher forcing), and with the model's own (rollout)."""
        clip.require("actions", "state")
        z, actions, states = self.encode(clip.frames), clip.actions, self.arm(clip.state)
        real = clip.real_frames[:, 1:] & clip.real_frames[:, :-1]
        steps = clip.length - 1
        guess = self.predict(z[:, :steps], actions, states[:, :steps])  # frames 1 to T - 1
        losses = {"teacher_forcing": _l1(guess, z[:, 1:], real)}

        rollout, error = torch.cat([z[:, :1], guess[:, :1]], dim=1), z.new_zeros(())
        ahead = self.config.rollout_steps
        for k in range(2, ahead + 1):
            following = self.predict(rollout, actions[:, :k], states[:, :k])[:, -1:]
            error = error + _l1(following, z[:, k : k + 1], real[:, k - 1 : k])
            rollout = torch.cat([rollout, following], dim=1)
        if ahead > 1:
            losses["rollout"] = error / (ahead - 1)
        if self.inverse is not None:
            seen = self.inverse(z[:, :steps], z[:, 1:]), self.inverse(z[:, :steps], guess)
            errors = [masked_mean((a - actions).square().mean(-1), real) for a in seen]
            losses["inverse"] = self.config.inverse_weight * sum(errors)
        return losses

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """L1 of the next features on held-out clips, beside copying the last ones."""
        z, states = self.encode(batch.frames), self.arm(batch.state)
        guess = self.predict(z[:, :-1], batch.actions, states[:, :-1])
        metrics = {
            "val/l1": (guess - z[:, 1:]).abs().mean(),
            "val/l1_copy": (z[:, :-1] - z[:, 1:]).abs().mean(),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> dict:
        config = self.config
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = adamw(trained, config.learning_rate, config.weight_decay)
        return scheduled(optimizer, warmup_cosine(config.warmup_steps, config.max_steps))

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        if self.config.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)


def _l1(guess: Tensor, target: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of ``[B, T, N, D]``; padding, not ``real`` [B, T], counts as 0."""
    return masked_mean((guess - target).abs().mean((-2, -1)), real)
