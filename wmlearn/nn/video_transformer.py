"""A transformer over noisy video: one network for every model that diffuses frames.

It maps noisy frames, a noise level *for each frame*, words and other conditions to what the
diffusion asks for (:mod:`wmlearn.nn.diffusion`). Tokens are spacetime patches. The backbone is
DiT's (Peebles & Xie 2023), with attention over space and over time in turn as in Latte (Ma et al.
2024) and Genie's ST transformer, or over all tokens of the video at once.

    x += gate Attention_space(adaLN(x, c))        S tokens of a frame look at each other
    x += gate Attention_time(adaLN(x, c))         T frames at one place; causal, or both ways
    x += Attention_text(LN(x))                    every token looks at the words
    x += gate MLP(adaLN(x, c))

c is one vector for each frame: its noise level, the mean word, and whatever else is added.

Legend: B batch, T frames (of tokens: T / tubelet), S tokens of a frame, D width, h heads,
d = D / h, C x H x W a frame, L words, P frames of the window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.blocks import FourierFeatures
from wmlearn.nn.st_transformer import time_table
from wmlearn.nn.video_block import Kind, VideoBlock, zeroed
from wmlearn.pixels import patchify, unpatchify

LEVEL_FEATURES = 256


@dataclass(frozen=True)
class VideoTransformerConfig:
    """The sizes of a video transformer; every option is off by default.

    Attributes:
        channels: C, of a frame (of latents, or pixels).
        height: H, before patching; multiples of ``patch``. Other sizes may be passed, too.
        width: W.
        frames: P, the longest sequence trained on; a causal frame looks at this many at most.
        out_channels: of the output; by default C.
        patch: p, side of a patch.
        tubelet: frames that one token covers.
        dim: D.
        layers: blocks.
        heads: h.
        mlp: hidden width of the MLP, in multiples of D.
        causal: whether a frame sees earlier ones only; otherwise all see each other.
        factorized: attention over space and time in turn; otherwise over all tokens at once.
        text_dim: width of word vectors, for cross-attention; 0 for no words.
        conditioning_dim: width of a vector for each frame (actions, ...) added to c; 0 for none.
        adaln: "full": each block has its own map from c; "shared": one map for all blocks, and in
            each a table and a correction of low rank (PixArt-alpha; Chen et al. 2023. Cosmos).
        adaln_rank: of the correction; 0 for the table alone.
    """

    channels: int
    height: int
    width: int
    frames: int
    out_channels: int | None = None
    patch: int = 2
    tubelet: int = 1
    dim: int = 192
    layers: int = 5
    heads: int = 6
    mlp: float = 4.0
    causal: bool = False
    factorized: bool = True
    text_dim: int = 0
    conditioning_dim: int = 0
    adaln: Literal["full", "shared"] = "full"
    adaln_rank: int = 16

    def __post_init__(self) -> None:
        if self.height % self.patch or self.width % self.patch:
            raise ValueError(
                f"height={self.height} and width={self.width} must be multiples of "
                f"patch={self.patch}."
            )
        if self.frames % self.tubelet:
            raise ValueError(f"frames={self.frames} must be a multiple of tubelet={self.tubelet}.")
        if self.dim % 4 or self.dim % self.heads or self.dim // self.heads % 2:
            raise ValueError(
                f"dim={self.dim} must be a multiple of 4, and give each of heads={self.heads} an "
                "even width."
            )
        if self.adaln not in ("full", "shared"):
            raise ValueError(f'adaln must be "full" or "shared"; got {self.adaln!r}.')

    @property
    def window(self) -> int:
        """P / tubelet: frames of tokens that a causal frame looks at, itself included."""
        return self.frames // self.tubelet

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The sub-layers of a block."""
        attention = ("space", "time") if self.factorized else ("all",)
        return (*attention, *(("text",) if self.text_dim else ()), "mlp")


@dataclass(frozen=True)
class Cache:
    """What causal play remembers: a ring of P frames of tokens. The batch comes first.

    Frame number f lies in slot f mod P.

    Attributes:
        keys: ``[B, layers, G, h, P n, d]``, turned; G = S places and n = 1 where attention is
            factorized, otherwise G = 1 and n = S.
        values: likewise.
        time: int64 ``[B]``, how many frames of tokens were written.
    """

    keys: Tensor
    values: Tensor
    time: Tensor


def places(rows: int, columns: int, dim: int) -> Tensor:
    """Sines and cosines of a patch's column, then of its row: ``[rows columns, D]``, row by row."""
    frequency = 10_000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))

    def waves(at: Tensor) -> Tensor:
        angles = at[:, None] * frequency
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.cat([waves(column.flatten()), waves(row.flatten())], dim=-1).float()


def band(queries: Tensor, keys: Tensor, window: int) -> Tensor:
    """Which frames a causal frame sees: itself and the window - 1 before it.

    Args:
        queries: frame numbers ``[..., N]``.
        keys: frame numbers ``[..., M]``; a negative one is no frame.

    Returns:
        bool ``[..., N, M]``.
    """
    age = queries[..., :, None] - keys[..., None, :]
    return (age >= 0) & (age < window) & (keys >= 0)[..., None, :]


class VideoTransformer(nn.Module):
    """Noisy frames -> what the diffusion asks for, frame by frame."""

    def __init__(self, config: VideoTransformerConfig) -> None:
        super().__init__()
        self.config = config
        dim, area = config.dim, config.tubelet * config.patch**2
        rank = config.adaln_rank if config.adaln == "shared" else None
        self.embed = nn.Linear(config.channels * area, dim)
        shape = config.height // config.patch, config.width // config.patch
        self.register_buffer("places", places(*shape, dim), persistent=False)
        self.level = nn.Sequential(
            FourierFeatures(LEVEL_FEATURES),
            nn.Linear(LEVEL_FEATURES, dim),
            nn.SiLU(),
            nn.Linear(dim, dim),
        )
        if config.text_dim:
            self.no_words = nn.Parameter(torch.randn(config.text_dim))
            self.mean_word = nn.Linear(config.text_dim, dim, bias=False)
        if config.conditioning_dim:
            self.conditioning = zeroed(nn.Linear(config.conditioning_dim, dim))
        self.blocks = nn.ModuleList(
            VideoBlock(
                dim,
                config.heads,
                config.kinds,
                mlp=config.mlp,
                context_dim=config.text_dim,
                rank=rank,
            )
            for _ in range(config.layers)
        )
        if rank is None:
            self.final = zeroed(nn.Linear(dim, 2 * dim))
        else:
            self.shared = zeroed(nn.Linear(dim, 3 * self.blocks[0].modulation.count * dim))
            self.final_table = nn.Parameter(torch.zeros(2, dim))
        self.head = zeroed(nn.Linear(dim, (config.out_channels or config.channels) * area))
        for block in self.blocks:
            if config.text_dim:  # the other branches begin with a gate of zero
                zeroed(block.layers["text"].out)

    def forward(
        self,
        z: Tensor,
        level: Tensor,
        *,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        conditioning: Tensor | None = None,
    ) -> Tensor:
        """All frames of a video at once.

        Args:
            z: ``[B, T, C, H, W]``, the noisy frames; T a multiple of ``tubelet``.
            level: ``[B, T]``, each frame's noise level as the network is told it (any real number;
                of the frames of a tubelet, the first one's counts).
            text: ``[B, L, text_dim]``, vectors of words; None for no words.
            text_mask: bool ``[B, L]``, which of them there are; None for all. A row without any is
                a video without words.
            conditioning: ``[B, T, conditioning_dim]``; None adds nothing.

        Returns:
            ``[B, T, out_channels, H, W]``.
        """
        x, size = self.tokens(z)
        c = self.condition(level, text, text_mask, conditioning)
        words, words_mask = self.words(len(z), text, text_mask)
        times = torch.arange(x.shape[1], device=z.device)
        n = self._tokens_together(x)
        mask = None
        if self.config.causal:
            mask = self._spread(band(times, times, self.config.window)[None, None], n, n)
        table = time_table(times.repeat_interleave(n), self.config.dim // self.config.heads)
        active, shared = self._shared(c)
        for block in self.blocks:
            x, _ = block(
                x, active, shared, table=table, mask=mask, words=words, words_mask=words_mask
            )
        return self.output(x, c, size)

    # --- causal play: new frames after cached ones ------------------------------------------------

    def start(self, batch: int, dtype: torch.dtype | None = None) -> Cache:
        """The empty ring before the first frame, on the network's device.

        Args:
            batch: B.
            dtype: of the keys and values; by default the weights'.
        """
        config, weight = self.config, self.head.weight
        groups, n = (len(self.places), 1) if config.factorized else (1, len(self.places))
        ring = config.window * n
        shape = (batch, config.layers, groups, config.heads, ring, config.dim // config.heads)
        keys = torch.zeros(shape, dtype=dtype or weight.dtype, device=weight.device)
        time = torch.zeros(batch, dtype=torch.long, device=weight.device)
        return Cache(keys, torch.zeros_like(keys), time)

    def step(
        self,
        z: Tensor,
        level: Tensor,
        cache: Cache,
        *,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        conditioning: Tensor | None = None,
        write: bool = True,
    ) -> tuple[Tensor, Cache]:
        """New frames after cached ones: equal to the end of :meth:`forward` over all of them.

        A frame that takes K denoising passes reads the cache K times (``write=False``); one more
        pass over the finished frame writes it.

        Args:
            z: ``[B, t, C, H, W]``, t new frames (a multiple of ``tubelet``, at most ``frames``).
            level: ``[B, t]``.
            cache: of the frames before; it is not changed.
            text, text_mask, conditioning: as in :meth:`forward`, for the new frames.
            write: whether the returned cache holds the new frames.

        Returns:
            ``[B, t, out_channels, H, W]``, and the cache.
        """
        config = self.config
        if not config.causal:
            raise ValueError("step() needs causal=True: here earlier frames look at later ones.")
        x, size = self.tokens(z)
        c = self.condition(level, text, text_mask, conditioning)
        words, words_mask = self.words(len(z), text, text_mask)
        n, new = self._tokens_together(x), torch.arange(x.shape[1], device=z.device)
        times = cache.time[:, None] + new  # [B, t]
        slots = torch.arange(config.window, device=z.device)
        newest = cache.time[:, None] - 1
        in_slot = newest - (newest - slots) % config.window  # its frame number; negative: empty
        seen = band(times, torch.cat([in_slot, times], dim=1), config.window)[:, None]
        mask = self._spread(seen, n, n).repeat_interleave(cache.keys.shape[2], dim=0)
        table = time_table(times.repeat_interleave(n, dim=1), config.dim // config.heads)[
            :, :, None
        ]
        active, shared = self._shared(c)
        written = []
        for number, block in enumerate(self.blocks):
            x, pair = block(
                x, active, shared, table=table, mask=mask, words=words, words_mask=words_mask,
                past=(cache.keys[:, number], cache.values[:, number]),
            )  # fmt: skip
            written.append(pair)
        if write:
            cache = self._written(cache, written, times % config.window, n)
        return self.output(x, c, size), cache

    @staticmethod
    def _written(cache: Cache, pairs: list, slots: Tensor, n: int) -> Cache:
        """The ring with new keys and values ``[B, G, h, t n, d]`` in ``slots`` ``[B, t]``."""
        index = (slots[:, :, None] * n + torch.arange(n, device=slots.device)).flatten(1)
        keys, values = (
            torch.stack([pair[i] for pair in pairs], dim=1).to(cache.keys.dtype) for i in (0, 1)
        )
        index = index[:, None, None, None, :, None].expand(keys.shape)
        return replace(
            cache,
            keys=cache.keys.scatter(4, index, keys),
            values=cache.values.scatter(4, index, values),
            time=cache.time + slots.shape[1],
        )

    # --- the parts --------------------------------------------------------------------------------

    def tokens(self, z: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Frames ``[B, T, C, H, W]`` -> patches with their places ``[B, T, S, D]``; and (H, W)."""
        config, size = self.config, tuple(z.shape[-2:])
        tubes = z.unflatten(1, (-1, config.tubelet)).flatten(2, 3)
        x = self.embed(patchify(tubes.contiguous(), config.patch))
        at = self.places
        if size != (config.height, config.width):
            at = places(*(side // config.patch for side in size), config.dim).to(x.device)
        return x + at, size

    def condition(
        self,
        level: Tensor,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        conditioning: Tensor | None = None,
    ) -> Tensor:
        """c ``[B, T, D]``, one for each frame of tokens; arguments as in :meth:`forward`."""
        config = self.config
        first = level[:, :: config.tubelet]
        c = self.level(first.flatten()).view(*first.shape, -1)
        if config.text_dim and text is not None:
            there = text.new_ones(text.shape[:2]) if text_mask is None else text_mask.to(text.dtype)
            total, count = (text * there[..., None]).sum(1), there.sum(1, keepdim=True)
            c = c + self.mean_word(total / count.clamp(min=1))[:, None]
        if config.conditioning_dim and conditioning is not None:
            c = c + self.conditioning(conditioning).unflatten(1, (-1, config.tubelet)).mean(2)
        return c

    def words(
        self, batch: int, text: Tensor | None, text_mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """The words after one learned "no words", which is always there: ``[B, 1 + L, D']``."""
        if not self.config.text_dim:
            return None, None
        none = self.no_words.expand(batch, 1, -1)
        if text is None:
            return none, None
        mask = None if text_mask is None else F.pad(text_mask, (1, 0), value=True)
        return torch.cat([none.to(text.dtype), text], dim=1), mask

    def output(self, x: Tensor, c: Tensor, size: tuple[int, int]) -> Tensor:
        """The last tokens ``[B, T, S, D]`` -> ``[B, T, out_channels, H, W]``."""
        config = self.config
        if config.adaln == "shared":
            both = self.final_table + c.unsqueeze(2)  # [B, T, 2, D]
        else:
            both = self.final(F.silu(c)).unflatten(-1, (2, -1))
        shift, scale = both.unsqueeze(2).unbind(3)  # [B, T, 1, D]
        x = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        tubes = unpatchify(self.head(x), config.patch, size)
        return tubes.unflatten(2, (config.tubelet, -1)).flatten(1, 2)

    def _shared(self, c: Tensor) -> tuple[Tensor, Tensor | None]:
        """The condition after its SiLU, and what the shared map makes of it (or None)."""
        active = F.silu(c)
        return active, self.shared(active) if self.config.adaln == "shared" else None

    def _tokens_together(self, x: Tensor) -> int:
        """n: tokens of a frame that attend over time together."""
        return 1 if self.config.factorized else x.shape[2]

    @staticmethod
    def _spread(mask: Tensor, rows: int, columns: int) -> Tensor:
        """A mask of frames ``[..., N, M]`` -> one of their tokens."""
        return mask.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
