"""The latent action model (Bruce et al. 2024, section 2.1): what was pressed between two frames?

The encoder sees frames x_1 .. x_{t+1} and must put what changed into one of a few codes; the
decoder sees the past frames x_1 .. x_t and that code, and must draw x_{t+1}. What the past does not
tell is the player's doing, so this is what the few codes come to stand for. At play time the model
is thrown away, except for the codes: the player chooses one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.quantize import VectorQuantizer
from wmlearn.nn.st_transformer import STTransformer
from wmlearn.pixels import patchify
from wmlearn.systems.genie.config import LatentActionConfig


@dataclass(frozen=True)
class LatentActions:
    """The latent actions between the frames of a clip.

    Attributes:
        codes: int64 ``[B, T - 1]``, 0 .. 7.
        vectors: float ``[B, T - 1, A]``, the codes' vectors.
        predicted: ``[B, T - 1, S, P]``, the decoder's next frames, as patches.
        loss: scalar, reconstruction and quantizer.
        reconstruction: scalar, mean square error of ``predicted``.
    """

    codes: Tensor
    vectors: Tensor
    predicted: Tensor
    loss: Tensor
    reconstruction: Tensor


class LatentActionModel(nn.Module):
    """Encoder, 8 codes, decoder.

    Args:
        config: its numbers.
        space: S, patches (or tokens) of a frame.
        patch_dim: P, numbers in a patch (or in a token's vector).
    """

    def __init__(self, config: LatentActionConfig, space: int, patch_dim: int) -> None:
        super().__init__()
        self.config = config
        dim, depth, heads = config.dim, config.depth, config.heads
        self.encoder_in = nn.Linear(patch_dim, dim)
        self.encoder = STTransformer(dim, depth, heads, space, config.gelu)
        self.to_action = nn.Linear(dim, config.action_dim)
        self.quantizer = VectorQuantizer(config.num_actions, config.action_dim, config.beta)
        self.decoder_in = nn.Linear(patch_dim, dim)
        self.decoder_action = nn.Linear(config.action_dim, dim)
        self.decoder = STTransformer(dim, depth, heads, space, config.gelu)
        self.decoder_out = nn.Linear(dim, patch_dim)
        nn.init.zeros_(self.decoder_out.weight)  # the first guess: nothing changes
        nn.init.zeros_(self.decoder_out.bias)

    def encode(self, patches: Tensor) -> Tensor:
        """``[B, T, S, P]`` -> float ``[B, T - 1, A]`` before quantization."""
        x = self.encoder(self.encoder_in(patches))
        return self.to_action(x[:, 1:].mean(dim=2))

    def decode(self, patches: Tensor, actions: Tensor) -> Tensor:
        """Past ``[B, T - 1, S, P]`` and actions ``[B, T - 1, A]`` -> next ``[B, T - 1, S, P]``."""
        x = self.decoder_in(patches) + self.decoder_action(actions)[:, :, None]
        if self.config.past == "last":  # each frame alone, as a video of one
            return patches + self.decoder_out(self._alone(x))
        return patches + self.decoder_out(self.decoder(x))

    def forward(self, patches: Tensor) -> LatentActions:
        """Infers the actions of ``[B, T, S, P]`` and predicts each frame but the first."""
        actions = self.quantizer(self.encode(patches))
        predicted = self.decode(patches[:, :-1], actions.vectors)
        error = (predicted - patches[:, 1:]).square().mean(dim=(2, 3))  # [B, T - 1]
        change = (patches[:, 1:] - patches[:, :-1]).square().mean(dim=(2, 3))
        config = self.config
        weighed = error / (change + config.relative) if config.relative else error
        loss = weighed.mean() + config.quantizer_weight * actions.loss
        return LatentActions(actions.codes, actions.vectors, predicted, loss, error.mean())

    def _alone(self, x: Tensor) -> Tensor:
        """The decoder's output ``[B, T, S, D]`` when each frame sees only itself."""
        return self.decoder(x.flatten(0, 1)[:, None]).view(x.shape)

    @torch.no_grad()
    def infer(self, patches: Tensor) -> Tensor:
        """The codes int64 ``[B, T - 1]`` between the frames of ``[B, T, S, P]``."""
        return self.quantizer(self.encode(patches)).codes


def action_view(frames: Tensor, config: LatentActionConfig) -> Tensor:
    """What the model sees of a video: ``[B, T, C, H, W]`` in -1..1 -> patches ``[B, T, S, P]``."""
    batch, time = frames.shape[:2]
    x = F.avg_pool2d(frames.flatten(0, 1), config.shrink)
    if config.sees == "edges":
        gray = x.mean(dim=1, keepdim=True)
        across = F.pad(gray[..., 1:] - gray[..., :-1], (0, 1))
        down = F.pad(gray[..., 1:, :] - gray[..., :-1, :], (0, 0, 0, 1))
        x = torch.cat([config.across * across, down], dim=1)
    return patchify(x.unflatten(0, (batch, time)), config.patch)


def action_view_shape(config: LatentActionConfig, channels: int, size: int) -> tuple[int, int]:
    """(S, P) of :func:`action_view`."""
    channels = 2 if config.sees == "edges" else channels
    return (size // config.shrink // config.patch) ** 2, channels * config.patch**2
