"""V-JEPA as a LightningModule: what is trained, and with which loss.

Bardes et al. 2024 (V-JEPA), section 3; Assran et al. 2025 (V-JEPA 2), section 2.1:

    minimize  || P(E(visible part), where) - sg(E'(whole clip)) ||_1   on the hidden tubelets,

with the encoder E, the predictor P, and E' the running average of E.
"""

from __future__ import annotations

import copy

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.nn.noise import SampleNoise
from wmlearn.recipes.optim import adamw, decay_groups, scheduled, warmup_cosine
from wmlearn.systems.vjepa.collapse import (
    effective_rank,
    feature_std,
    random_directions,
    sigreg,
    vicreg,
)
from wmlearn.systems.vjepa.config import VJEPAConfig
from wmlearn.systems.vjepa.encoder import Encoder, normalize, take
from wmlearn.systems.vjepa.masks import draw_mask
from wmlearn.systems.vjepa.predictor import Predictor

TOKENS_MEASURED = 1024  # of a batch: enough for statistics of a few hundred channels


class VJEPA(L.LightningModule):
    """Encoder, predictor and target encoder, trained by filling in features.

    Args:
        config: all numbers; ``wmlearn.systems.vjepa.PAPER`` is V-JEPA 2's ViT-L.
    """

    def __init__(self, config: VJEPAConfig) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.encoder = Encoder(config.encoder)
            self.predictor = None
            if config.use_predictor:
                outputs = config.encoder.dim
                if config.predict == "pixels":
                    outputs = self.encoder.patch_embed.in_features
                self.predictor = Predictor(config.predictor, config.encoder, outputs)
        self.target_encoder: nn.Module | None = None
        if config.predict == "features" and config.target == "ema":
            self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)

    # --- the loss ------------------------------------------------------------------------------

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Loss of one batch of clips ``[B, clip_frames, C, H, W]``."""
        losses = self.losses(batch, step=self.global_step)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        return sum(losses.values())

    def losses(self, clip: Clip, step: int = 0) -> dict[str, Tensor]:
        """The terms of the loss, with the masks that belong to training step ``step``."""
        noise = self._noise(step, len(clip))
        video = self.video(clip)
        if self.config.reverse:
            backwards = noise.uniform(len(clip), 1, 1, 1, 1) < self.config.reverse
            video = torch.where(backwards, video.flip(1), video)
        patches = self.encoder.cut(video)
        target = self.target(patches)
        errors, seen = [], []
        for kind, mask in enumerate(self.config.masks):
            visible, hidden = draw_mask(mask, self.config.encoder.grid, noise)
            seen.append(self.encoder.encode(patches, visible))
            guess = self.fill_in(seen[-1], visible, hidden, kind)
            errors.append(self._distance(guess, take(target, hidden)))
        losses = {"prediction": sum(errors) / len(errors)}
        if self.config.regularizer != "none":
            features = torch.cat([each.flatten(0, 1) for each in seen])
            weight = self.config.regularizer_weight
            losses[self.config.regularizer] = weight * self._regularizer(features, step)
        return losses

    def target(self, patches: Tensor) -> Tensor:
        """Targets of the prediction for all tubelets: ``[B, N, P]`` -> ``[B, N, D]``.

        Features are layer-normed, so that their scale cannot shrink to make the task easy.
        """
        if self.config.predict == "pixels":  # VideoMAE: each tubelet's pixels, normalized
            variance, mean = torch.var_mean(patches, -1, keepdim=True)
            return (patches - mean) / (variance + 1e-6).sqrt()
        encoder = self.target_encoder or self.encoder
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.target == "none"):
            features = encoder.encode(patches)
            return F.layer_norm(features, features.shape[-1:])

    def guess(self, patches: Tensor, visible: Tensor, hidden: Tensor, kind: int = 0) -> Tensor:
        """The features of ``hidden`` [B, K], from the tubelets ``visible`` [B, M] alone."""
        return self.fill_in(self.encoder.encode(patches, visible), visible, hidden, kind)

    def fill_in(self, features: Tensor, visible: Tensor, hidden: Tensor, kind: int = 0) -> Tensor:
        """As ``guess``, from the features ``[B, M, D]`` of what is visible."""
        if self.predictor is None:
            return features.mean(1, keepdim=True).expand(-1, hidden.shape[1], -1)
        return self.predictor(features, visible, hidden, kind)

    def video(self, clip: Clip) -> Tensor:
        """The frames that the encoder looks at, float ``[B, T, C, H, W]``."""
        config = self.config
        span = config.frame_stride * (config.encoder.frames - 1) + 1
        if clip.length < span:
            raise ValueError(
                f"{config.encoder.frames} frames, every {config.frame_stride}th, need clips of "
                f"{span} frames; these have {clip.length}."
            )
        return normalize(clip.frames[:, : span : config.frame_stride])

    def _distance(self, guess: Tensor, target: Tensor) -> Tensor:
        if self.config.predict == "pixels":
            return F.mse_loss(guess.float(), target)
        return F.l1_loss(guess.float(), target.float())

    def _regularizer(self, features: Tensor, step: int) -> Tensor:
        """Of the visible tubelets' features ``[n, D]``, which have gradients already."""
        features = features[:: max(1, len(features) // TOKENS_MEASURED)]
        if self.config.regularizer == "vicreg":
            return vicreg(features)
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
        directions = random_directions(features.shape[1], generator).to(features.device)
        return sigreg(features, directions)

    def _noise(self, step: int, batch: int) -> SampleNoise:
        return SampleNoise(self.config.seed, step, batch, self.global_rank, self.device)

    # --- the running average ---------------------------------------------------------------------

    def on_train_batch_end(self, outputs, batch: Clip, batch_idx: int) -> None:
        self.update_target()

    @torch.no_grad()
    def update_target(self) -> None:
        """E' <- m E' + (1 - m) E."""
        if self.target_encoder is not None:
            ours, theirs = list(self.encoder.parameters()), list(self.target_encoder.parameters())
            torch._foreach_lerp_(theirs, ours, 1 - self.config.ema)

    # --- measuring -----------------------------------------------------------------------------

    @torch.no_grad()
    def features(self, clip: Clip | Tensor) -> Tensor:
        """What the trained encoder sees in clips: ``[B, N, D]``, time slowest.

        Args:
            clip: a Clip, or its frames uint8 ``[B, T, C, H, W]``.
        """
        clip = clip if isinstance(clip, Clip) else Clip(clip)
        encoder = self.target_encoder or self.encoder
        return encoder(self.video(clip))

    def validation_step(self, batch: Clip, batch_idx: int) -> None:
        """Loss on held-out clips, and two signs of collapse."""
        losses = self.losses(batch, step=batch_idx)
        features = self.features(batch)
        features = F.layer_norm(features, features.shape[-1:]).flatten(0, 1)
        features = features[:: max(1, len(features) // TOKENS_MEASURED)]
        metrics = {
            "val/prediction": losses["prediction"],
            "val/feature_std": feature_std(features),
            "val/effective_rank": effective_rank(features),
        }
        self.log_dict(metrics, batch_size=len(batch), sync_dist=True)

    # --- optimization ----------------------------------------------------------------------------

    def configure_optimizers(self) -> dict:
        config = self.config
        groups = decay_groups(self.parameters())  # as in the published code
        optimizer = adamw(groups, config.learning_rate, config.weight_decay)
        return scheduled(optimizer, warmup_cosine(config.warmup_steps, config.max_steps))

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        if self.config.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)
