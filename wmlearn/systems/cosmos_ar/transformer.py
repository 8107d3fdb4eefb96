"""A language model of video tokens (NVIDIA 2025, section 5.2): Llama's layout in three dimensions.

Tokens are read frame by frame, row by row. At each place the network sees all tokens before it, is
told where the next one belongs, and gives the probabilities of what it is.

Shapes: B batch, t latent frames of h x w codes, N = t h w tokens, D width, E width of a head,
K codes, A numbers of the actions that led to one latent frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.attention import Attention, rotary_table, rotate
from wmlearn.systems.cosmos_ar.config import CosmosARConfig, TransformerConfig


def places(frames: int, side: int) -> Tensor:
    """Frame, row and column of every token, int64 ``[N, 3]``, in the order of reading."""
    axes = torch.arange(frames), torch.arange(side), torch.arange(side)
    return torch.cartesian_prod(*axes).view(-1, 3)


def rotary_3d(at: Tensor, width: int, theta: float) -> Tensor:
    """The rotary table ``[2, N, E]`` of places ``[N, 3]``: channels are shared by three axes.

    Rows and columns get a third of the pairs of channels each, rounded down, frames the rest.
    """
    pairs = width // 2
    shares = pairs - 2 * (pairs // 3), pairs // 3, pairs // 3
    angles = []
    for axis, count in enumerate(shares):
        steps = torch.arange(count, device=at.device, dtype=torch.float64) / count
        angles.append(at[:, axis, None].double() * theta**-steps)
    return rotary_table(torch.cat(angles, dim=-1).float(), "halves")


@dataclass(frozen=True)
class Cache:
    """Keys and values of the tokens so far.

    Attributes:
        keys: ``[B, layers, kv_heads, N, E]``, turned; room for N tokens.
        values: likewise.
        length: how many of them are there.
    """

    keys: Tensor
    values: Tensor
    length: int = 0


class SelfAttention(nn.Module):
    """Causal grouped-query attention; queries and keys are normed, each head by itself."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, width = config.heads, config.kv_heads, config.head_dim
        self.q = nn.Linear(config.dim, config.heads * width, bias=False)
        self.k = nn.Linear(config.dim, config.kv_heads * width, bias=False)
        self.v = nn.Linear(config.dim, config.kv_heads * width, bias=False)
        self.out = nn.Linear(config.heads * width, config.dim, bias=False)
        self.norm_q, self.norm_k = nn.RMSNorm(width, 1e-5), nn.RMSNorm(width, 1e-5)

    def forward(self, x: Tensor, table: Tensor, past: tuple[Tensor, Tensor, int] | None) -> Tensor:
        """``x`` ``[B, N, D]``; a past (keys, values, length) is written to in place."""
        q, k, v = (
            part(x).unflatten(-1, (-1, table.shape[-1])) for part in (self.q, self.k, self.v)
        )
        turn = table.unsqueeze(-2)
        q = rotate(_normed(self.norm_q, q), turn, "halves").transpose(1, 2)
        k = rotate(_normed(self.norm_k, k), turn, "halves").transpose(1, 2)
        v, mask, causal = v.transpose(1, 2), None, True
        if past is not None:
            keys, values, length = past
            new = length + x.shape[1]
            keys[:, :, length:new], values[:, :, length:new] = k, v
            k, v, causal = keys[:, :, :new].to(q.dtype), values[:, :, :new].to(q.dtype), False
            if x.shape[1] > 1:
                mask = torch.ones(x.shape[1], new, dtype=torch.bool, device=x.device).tril(length)
        y = F.scaled_dot_product_attention(
            q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=causal,
            enable_gqa=self.heads != self.kv_heads,
        )  # fmt: skip
        return self.out(y.transpose(1, 2).flatten(2))


def _normed(norm: nn.RMSNorm, x: Tensor) -> Tensor:
    """The norm in the precision of its input, which has a kernel of its own."""
    return F.rms_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.eps)


class GatedMLP(nn.Module):
    """SwiGLU: one half of the hidden numbers gates the other."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.dim, config.hidden, bias=False)
        self.up = nn.Linear(config.dim, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """RMS norm and attention, perhaps words, RMS norm and MLP; each added to x."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(config.dim, 1e-5), nn.RMSNorm(config.dim, 1e-5)
        self.attention, self.mlp = SelfAttention(config), GatedMLP(config)
        if config.text_dim:
            self.norm_text = nn.RMSNorm(config.dim, 1e-5)
            self.words = Attention(config.dim, config.heads, context_dim=config.text_dim)
            nn.init.zeros_(self.words.out.weight)
            nn.init.zeros_(self.words.out.bias)

    def forward(
        self,
        x: Tensor,
        table: Tensor,
        past: tuple[Tensor, Tensor, int] | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> Tensor:
        x = x + self.attention(self.norm1(x), table, past)
        if text is not None:
            seen = None if text_mask is None else text_mask[:, None, None]
            x = x + self.words.cross(self.norm_text(x), text, seen)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Codes to the probabilities of the next one."""

    def __init__(self, config: CosmosARConfig) -> None:
        super().__init__()
        self.config = c = config.transformer
        self.side, self.num_codes = config.latent_size, 1
        for level in config.tokenizer.levels:
            self.num_codes *= level
        self.embed = nn.Embedding(self.num_codes, c.dim)
        self.first = nn.Parameter(torch.zeros(c.dim))  # stands before the first token
        if c.action_dim:
            self.actions = nn.Sequential(
                nn.Linear(config.action_channels, c.action_width),
                nn.SiLU(),
                nn.Linear(c.action_width, c.dim),
            )
            nn.init.zeros_(self.actions[2].weight)
            nn.init.zeros_(self.actions[2].bias)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.dim, 1e-5)
        self.head = nn.Linear(c.dim, self.num_codes, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)
        table = rotary_3d(places(c.latent_frames, self.side), c.head_dim, c.theta)
        self.register_buffer("table", table, persistent=False)

    @property
    def frame_tokens(self) -> int:
        """h w."""
        return self.side**2

    def forward(
        self,
        codes: Tensor,
        actions: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[B, N, K]`` of every token from those before it.

        Args:
            codes: int64 ``[B, N]``, N at most t h w; entry N - 1 is not looked at.
            actions: ``[B, t, A]``, what led to each latent frame.
            text: ``[B, L, E']``; text_mask: bool ``[B, L]``.
        """
        x = self._inputs(F.pad(codes[:, :-1], (1, 0), value=-1), 0, actions)
        for block in self.blocks:
            x = block(x, self.table[:, : x.shape[1]], None, text, text_mask)
        return self.head(self.norm(x)).float()

    def loss(self, codes: Tensor, actions: Tensor | None = None, **words: Tensor) -> Tensor:
        """Cross-entropy of the tokens ``[B, N]`` in nats, and the z-loss: ``[B]``."""
        logits = self(codes, actions, **words)
        normalizer = logits.logsumexp(-1)
        chosen = logits.gather(-1, codes[..., None]).squeeze(-1)
        return (normalizer - chosen + self.config.z_loss * normalizer.square()).mean(1)

    # --- token by token --------------------------------------------------------------------------

    def start(self, batch: int) -> Cache:
        """Room for a whole sequence, empty."""
        c, weight = self.config, self.head.weight
        shape = (batch, c.layers, c.kv_heads, self.table.shape[1], c.head_dim)
        keys = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        return Cache(keys, torch.zeros_like(keys))

    def step(
        self,
        before: Tensor,
        cache: Cache,
        actions: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, Cache]:
        """As :meth:`forward`, for the tokens that come after cached ones.

        Args:
            before: int64 ``[B, n]``, the token before each of them; -1 before the first of all.
            cache: of the places before; its tensors are written to.
            actions, text, text_mask: as in :meth:`forward`.

        Returns:
            Logits ``[B, n, K]`` of the tokens at the n places, and the longer cache.
        """
        begin, end = cache.length, cache.length + before.shape[1]
        x = self._inputs(before, begin, actions)
        for number, block in enumerate(self.blocks):
            past = cache.keys[:, number], cache.values[:, number], begin
            x = block(x, self.table[:, begin:end], past, text, text_mask)
        return self.head(self.norm(x)).float(), Cache(cache.keys, cache.values, end)

    def _inputs(self, before: Tensor, begin: int, actions: Tensor | None) -> Tensor:
        """The token before each place, and the actions that lead to its frame: ``[B, n, D]``."""
        x = torch.where((before >= 0)[..., None], self.embed(before.clamp(min=0)), self.first)
        if actions is None:
            return x
        frame = torch.arange(begin, begin + before.shape[1], device=x.device) // self.frame_tokens
        return x + self.actions(actions)[:, frame]
