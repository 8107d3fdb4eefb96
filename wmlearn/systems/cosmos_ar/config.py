"""The numbers of Cosmos's autoregressive models, as frozen dataclasses, and the paper's.

``PAPER_4B`` and ``PAPER_12B`` follow NVIDIA 2025, section 5.2 and table 13, and the published code
where the paper is silent. What the laptop changes is in ``recipe.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wmlearn.nn.causal_video import CausalVideoConfig


@dataclass(frozen=True)
class TransformerConfig:
    """The language model of tokens.

    Attributes:
        latent_frames: t, the longest sequence, in latent frames.
        dim, layers, heads: of the transformer.
        kv_heads: of keys and values; several heads share one (grouped-query attention).
        head_dim: width of a head.
        hidden: of the gated MLP.
        theta: the slowest rotary frequency is 1 / theta.
        text_dim: width of word vectors for cross-attention; 0 for none.
        action_dim: numbers of an action; 0 for a model that has none.
        action_width: hidden width of the actions' MLP.
        z_loss: weight of the squared log of the softmax's denominator.
    """

    latent_frames: int = 5
    dim: int = 4096
    layers: int = 16
    heads: int = 32
    kv_heads: int = 8
    head_dim: int = 128
    hidden: int = 14336
    theta: float = 500_000.0
    text_dim: int = 0
    action_dim: int = 0
    action_width: int = 128
    z_loss: float = 3e-4


@dataclass(frozen=True)
class SamplerConfig:
    """How a token is drawn.

    Attributes:
        temperature: of the softmax; 0 takes the likeliest token.
        top_p: only the likeliest tokens that together have this probability are drawn from.
    """

    temperature: float = 1.0
    top_p: float = 0.8


@dataclass(frozen=True)
class CosmosARConfig:
    """All of an autoregressive world foundation model, and how it is optimized.

    A run is two stretches, each a share of its steps: the tokenizer, and the transformer on its
    codes.

    Attributes:
        image_size: H = W of a frame.
        tokenizer: the causal video tokenizer, with FSQ.
        transformer: the language model of its codes.
        sampler: how tokens are drawn.
        play_latents: how many latent frames the world remembers.
        action_low, action_high: the space of an action.
        gradient_weight, squared_weight, rare_colors: of the tokenizer's loss, as in
            ``CosmosConfig``.
        tokenizer_span, model_span: the stretches.
        learning_rate: the highest, of AdamW.
        tokenizer_rate: the same, of the tokenizer.
        weight_decay, betas: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps of a stretch.
        max_steps: length of the run; the learning rate falls to zero along a cosine in each
            stretch.
        max_grad_norm: gradients are clipped to this.
        seed: of weights and noise.
    """

    image_size: int = 64
    tokenizer: CausalVideoConfig = field(
        default_factory=lambda: CausalVideoConfig(
            latent_channels=6, levels=(8, 8, 8, 5, 5, 5), space_ratio=16
        )
    )
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    play_latents: int = 4
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    gradient_weight: float = 0.5
    squared_weight: float = 4.0
    rare_colors: bool = True
    tokenizer_span: tuple[float, float] = (0.0, 0.4)
    model_span: tuple[float, float] = (0.4, 1.0)
    learning_rate: float = 1e-3
    tokenizer_rate: float = 1e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_steps: int = 100
    max_steps: int = 100_000
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def latent_size(self) -> int:
        """h = w of a latent frame."""
        return self.image_size // self.tokenizer.space_ratio

    @property
    def action_channels(self) -> int:
        """Numbers of the actions that lead to one latent frame."""
        return self.transformer.action_dim * self.tokenizer.time_ratio


PAPER_4B = CosmosARConfig(image_size=640)
"""Cosmos-1.0-Autoregressive-4B (640 x 1024 pixels in the paper; square ones here)."""

PAPER_12B = replace(PAPER_4B, transformer=replace(PAPER_4B.transformer, dim=5120, layers=40))
"""Cosmos-1.0-Autoregressive-12B; its heads are 128 wide, which is not 5120 / 32."""
