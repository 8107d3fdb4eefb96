"""The published diffusion network of Cosmos-1.0, as it is: all tokens attend, adaLN of low rank.

The course's own networks are smaller relatives (:mod:`wmlearn.nn.video_transformer`); this one
reads the authors' weights (diffusers' ``CosmosTransformer3DModel``), with their names.

Shapes: B batch, T x H x W latents of C channels, N = T H W / 4 tokens (patches of 1 x 2 x 2), D
width, h heads of E numbers, L words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.hub import read_published
from wmlearn.nn.attention import attend, rotary_table, rotate

BASE_FPS = 24  # frames a second of the latents' clock, in which positions are counted


@dataclass(frozen=True)
class PublishedConfig:
    """The sizes of Cosmos-1.0-Diffusion-7B-Video2World.

    Attributes:
        channels: of the input: latents, and one that says which frames are known.
        out_channels: of the latents.
        heads, head_dim: D is their product.
        layers: blocks.
        mlp: hidden width of the MLP, in multiples of D.
        text_dim: width of word vectors.
        rank: of each sub-layer's modulation.
        rope_scale: how far positions in time, height and width are stretched (by the NTK rule).
    """

    channels: int = 17
    out_channels: int = 16
    heads: int = 32
    head_dim: int = 128
    layers: int = 28
    mlp: float = 4.0
    text_dim: int = 1024
    rank: int = 256
    rope_scale: tuple[float, float, float] = (2.0, 1.0, 1.0)

    @property
    def dim(self) -> int:
        """D."""
        return self.heads * self.head_dim


def rotary(size: tuple[int, int, int], config: PublishedConfig, fps: float | None = None) -> Tensor:
    """The rotary table ``[2, N, E]`` of T x H x W places.

    Height and width have a third of the pairs of channels each, rounded down; time has the rest.
    Without ``fps`` a frame is a step, with it ``24 / fps`` of one.
    """
    width = config.head_dim
    share = width // 6 * 2
    steps = 1.0 if fps is None else BASE_FPS / fps
    parts = []
    for axis, (dim, count) in enumerate(zip((width - 2 * share, share, share), size, strict=True)):
        theta = 10_000.0 * config.rope_scale[axis] ** (dim / (dim - 2))
        frequency = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        at = torch.arange(count, dtype=torch.float64) * (steps if axis == 0 else 1.0)
        shape = [1, 1, 1, dim // 2]
        shape[axis] = count
        parts.append((at[:, None] * frequency).view(shape).expand(*size, -1))
    return rotary_table(torch.cat(parts, dim=-1).flatten(0, 2).float(), "halves")


def time_features(level: Tensor, dim: int) -> Tensor:
    """``[...]`` -> ``[..., dim]``: cosines, then sines, of dim / 2 frequencies."""
    half = dim // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, device=level.device) / half)
    angles = level.float()[..., None] * frequency
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class _LowRank(nn.Module):
    """From the level's features to shifts, scales and gates, beside what a shared map gives."""

    def __init__(self, dim: int, rank: int, count: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(dim, rank, bias=False)
        self.linear_2 = nn.Linear(rank, count * dim, bias=False)
        self.count = count

    def forward(self, features: Tensor, shared: Tensor) -> list[Tensor]:
        given = self.linear_2(self.linear_1(F.silu(features)))
        given = given + shared[..., : given.shape[-1]]
        return list(given.chunk(self.count, dim=-1))


class _Attention(nn.Module):
    """Attention with an RMS norm on each head's queries and keys."""

    def __init__(self, config: PublishedConfig, context: int) -> None:
        super().__init__()
        dim, self.width = config.dim, config.head_dim
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k, self.to_v = (nn.Linear(context, dim, bias=False) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(dim, dim, bias=False)])
        self.norm_q, self.norm_k = (nn.RMSNorm(self.width, 1e-6) for _ in range(2))

    def forward(self, x: Tensor, context: Tensor, table: Tensor | None = None) -> Tensor:
        q = self.norm_q(self.to_q(x).unflatten(-1, (-1, self.width)))
        k = self.norm_k(self.to_k(context).unflatten(-1, (-1, self.width)))
        v = self.to_v(context).unflatten(-1, (-1, self.width))
        if table is not None:
            q, k = (rotate(part, table.unsqueeze(-2), "halves") for part in (q, k))
        y = attend(*(part.transpose(1, 2) for part in (q, k, v)))
        return self.to_out[0](y.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        first = nn.ModuleDict({"proj": nn.Linear(dim, hidden, bias=False)})
        self.net = nn.ModuleList([first, nn.Identity(), nn.Linear(hidden, dim, bias=False)])

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](F.gelu(self.net[0]["proj"](x)))


class _Block(nn.Module):
    """Attention over all tokens, over words, and an MLP, each with shift, scale and gate."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm1, self.norm2, self.norm3 = (_LowRank(dim, config.rank, 3) for _ in range(3))
        self.attn1, self.attn2 = _Attention(config, dim), _Attention(config, config.text_dim)
        self.ff = _FeedForward(dim, int(config.mlp * dim))

    def forward(
        self, x: Tensor, text: Tensor, features: Tensor, shared: Tensor, table: Tensor
    ) -> Tensor:
        def branch(x: Tensor, norm: _LowRank, layer) -> Tensor:
            shift, scale, gate = norm(features, shared)
            return x + gate * layer(_normed(x) * (1 + scale) + shift)

        x = branch(x, self.norm1, lambda h: self.attn1(h, h, table))
        x = branch(x, self.norm2, lambda h: self.attn2(h, text))
        return branch(x, self.norm3, self.ff)


def _normed(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class _TimeEmbedding(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, 1e-6)
        self.t_embedder = nn.ModuleDict(
            {
                "linear_1": nn.Linear(dim, dim, bias=False),
                "linear_2": nn.Linear(dim, 3 * dim, bias=False),
            }
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.silu(self.t_embedder["linear_1"](features))
        return self.t_embedder["linear_2"](hidden), self.norm(features)


class PublishedTransformer(nn.Module):
    """Noisy latents, known ones among them, to EDM's raw output F."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.config, dim = config, config.dim
        self.patch_embed = nn.ModuleDict({"proj": nn.Linear(4 * config.channels, dim, bias=False)})
        self.time_embed = _TimeEmbedding(dim)
        self.transformer_blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm_out = _LowRank(dim, config.rank, 2)
        self.proj_out = nn.Linear(dim, 4 * config.out_channels, bias=False)

    def forward(self, z: Tensor, level: Tensor, text: Tensor, fps: float | None = None) -> Tensor:
        """``[B, T, C, H, W]`` -> ``[B, T, out_channels, H, W]``.

        Args:
            z: latents, and as the last channel the mask of known frames; H and W even.
            level: what the network is told of the noise, ``[B]``, or ``[B, T]`` for each frame.
            text: ``[B, L, text_dim]``.
            fps: frames of latents a second; None counts frames.
        """
        batch, time, _, height, width = z.shape
        size = time, height // 2, width // 2
        x = z.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)).permute(0, 1, 3, 5, 2, 4, 6)
        x = self.patch_embed["proj"](x.flatten(4)).flatten(1, 3)  # patches as (channel, h, w)
        shared, features = self.time_embed(time_features(level, self.config.dim))
        if level.ndim == 1:
            shared, features = shared[:, None], features[:, None]
        else:
            tokens = size[1] * size[2]
            shared, features = (v.repeat_interleave(tokens, 1) for v in (shared, features))
        table = rotary(size, self.config, fps).to(z.device)
        for block in self.transformer_blocks:
            x = block(x, text, features, shared, table)
        shift, scale = self.norm_out(features, shared)
        x = self.proj_out(_normed(x) * (1 + scale) + shift)
        x = x.view(batch, *size, 2, 2, -1)  # but given back as (h, w, channel)
        return x.permute(0, 1, 6, 2, 4, 3, 5).reshape(batch, time, -1, height, width)


def load_transformer(
    path: str | Path, config: PublishedConfig | None = None
) -> PublishedTransformer:
    """The network that a file holds.

    Args:
        path: one file of ``CosmosTransformer3DModel``'s weights.
        config: its sizes; by default the 7B's.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is damaged, foreign or of other sizes.
    """
    weights, model = read_published(path), PublishedTransformer(config or PublishedConfig())
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"The weights in {path} do not fit this configuration: take a file of "
            "CosmosTransformer3DModel without extra positions, and the sizes of its config.json."
        ) from error
    return model.eval()
