"""The video transformer of V-JEPA 2: tubelets in, features out.

Shapes: B clips, T frames, C channels, H x W pixels, N tubelets, M of them seen, D width,
P = C * tubelet_size * patch_size^2 numbers in a tubelet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wmlearn.nn.attention import Block
from wmlearn.systems.vjepa.config import EncoderConfig
from wmlearn.systems.vjepa.rope import EPS, grid_positions, init_weights, rope_table

# The mean and standard deviation of ImageNet's pixels, as the published code normalizes clips.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def normalize(frames: Tensor) -> Tensor:
    """uint8 RGB ``[B, T, 3, H, W]`` -> normalized float32 of the same shape."""
    mean = 255 * torch.tensor(PIXEL_MEAN, device=frames.device).view(3, 1, 1)
    std = 255 * torch.tensor(PIXEL_STD, device=frames.device).view(3, 1, 1)
    return (frames.float() - mean) / std


def tubelets(video: Tensor, tubelet_size: int, patch_size: int) -> Tensor:
    """Cuts a video ``[B, T, C, H, W]`` into its tubelets ``[B, N, P]``, time slowest."""
    batch, time, channels, height, width = video.shape
    t, p = tubelet_size, patch_size
    if time % t or height % p or width % p:
        raise ValueError(
            f"A clip of {time} frames of {height} x {width} cannot be cut into tubelets of "
            f"{t} x {p} x {p}: choose sizes that divide."
        )
    cut = video.reshape(batch, time // t, t, channels, height // p, p, width // p, p)
    cut = cut.permute(0, 1, 4, 6, 3, 2, 5, 7)  # [B, time, height, width, C, t, p, p]
    return cut.reshape(batch, -1, channels * t * p * p)


def take(x: Tensor, index: Tensor) -> Tensor:
    """The tokens ``index`` [B, M] of ``x`` [B, N, D] -> [B, M, D]."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


class Encoder(nn.Module):
    """A clip, or the visible part of it, becomes one feature per tubelet.

    Args:
        config: sizes; its ``frames`` is the longest clip.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        side, time = config.patch_size, config.tubelet_size
        self.patch_embed = nn.Linear(config.image_channels * time * side**2, config.dim)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, pairing="interleaved", mlp_ratio=config.mlp_ratio)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim, eps=EPS)
        table = rope_table(grid_positions(config.grid), config.dim // config.heads)
        self.register_buffer("rope", table, persistent=False)
        init_weights(self, self.blocks)

    def forward(self, video: Tensor, index: Tensor | None = None) -> Tensor:
        """Features of a whole clip, or of the tubelets ``index`` when nothing else is seen.

        Args:
            video: float ``[B, T, C, H, W]`` (see :func:`normalize`); T may be shorter than the
                config's.
            index: int64 ``[B, M]``, the tubelets that are seen; default is all of them.

        Returns:
            ``[B, M, D]``, in the order of ``index``.
        """
        return self.encode(self.cut(video), index)

    def cut(self, video: Tensor) -> Tensor:
        """The clip's tubelets ``[B, N, P]``, for :meth:`encode`."""
        config = self.config
        patches = tubelets(video, config.tubelet_size, config.patch_size)
        side = config.image_size
        if video.shape[3:] != (side, side) or patches.shape[1] > config.tokens:
            raise ValueError(
                f"This encoder was built for up to {config.frames} frames of {side} x {side}; "
                f"got {video.shape[1]} of {video.shape[3]} x {video.shape[4]}."
            )
        return patches

    def encode(self, patches: Tensor, index: Tensor | None = None) -> Tensor:
        """As ``forward``, for tubelets that are cut already: ``[B, N, P]`` -> ``[B, M, D]``."""
        if index is None:
            table = self.rope[:, : patches.shape[1]]
        else:  # what is hidden is never touched: not embedded, not attended to
            patches, table = take(patches, index), self.rope[:, index]
        x = self.patch_embed(patches)
        for block in self.blocks:
            x = block(x, table)
        return self.norm(x)
