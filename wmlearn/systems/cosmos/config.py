"""The numbers of Cosmos's diffusion models, as frozen dataclasses, and the paper's.

``PAPER_7B`` and ``PAPER_14B`` follow NVIDIA 2025, section 5.1 and table 10, and the published code
where the paper is silent. What the laptop changes is in ``recipe.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from wmlearn.nn.causal_video import CausalVideoConfig
from wmlearn.nn.video_transformer import VideoTransformerConfig


@dataclass(frozen=True)
class DenoiserConfig:
    """The diffusion model of latents that follow, given those before, actions and words.

    Attributes:
        latent_frames: t, the longest sequence, those before included.
        patch: side of a patch of latents; a patch is a token.
        dim, layers, heads: of the transformer.
        adaln, adaln_rank: see ``VideoTransformerConfig``; Cosmos shares one map.
        factorized: attention over space and over time in turn; published: over all tokens.
        text_dim: width of word vectors (T5's in the paper); 0 for none.
        action_dim: numbers of an action; 0 for a model that has none.
        action_width: hidden width of the actions' MLP.
        sigma_data: standard deviation that the latents are scaled to.
        sigma: log-mean and log-deviation of the noise in training.
        sigma_range: the least and the most noise.
        known_sigma: the same for the frames before, which get noise of their own, of which the
            network is told.
        most_known: in training 1 to this many latents are known.
        drop_known: share of training samples in which none is (paper: 0.2).
    """

    latent_frames: int = 16
    patch: int = 2
    dim: int = 4096
    layers: int = 28
    heads: int = 32
    adaln: Literal["full", "shared"] = "shared"
    adaln_rank: int = 256
    factorized: bool = False
    text_dim: int = 1024
    action_dim: int = 0
    action_width: int = 128
    sigma_data: float = 0.5
    sigma: tuple[float, float] = (0.0, 1.0)
    sigma_range: tuple[float, float] = (2e-4, 80.0)
    known_sigma: tuple[float, float] = (-3.0, 2.0)
    most_known: int = 2
    drop_known: float = 0.2


@dataclass(frozen=True)
class SamplerConfig:
    """How the frames that follow are drawn.

    Attributes:
        num_steps: of the sampler (published: 35).
        order: 1 for Euler's steps, 2 for Heun's (twice the passes).
        sigma_max: the noise that it starts from.
        sigma_min: the least noise before the last step.
        known_sigma: noise that the latents before get while dreaming, of which the network is
            told: what it drew itself is not quite right, and this much of it is not believed.
        action_guidance: w of ``(1 + w) F(actions) - w F(usual)``, where *usual* are the actions
            that led to the new latents replaced by the mean of those before: what an action changes
            is made larger (ours; twice the passes, and 0 for none).
    """

    num_steps: int = 35
    order: int = 1
    sigma_max: float = 80.0
    sigma_min: float = 2e-3
    known_sigma: float = 1e-3
    action_guidance: float = 0.0


@dataclass(frozen=True)
class CosmosConfig:
    """All of a diffusion world foundation model, and how it is optimized.

    A run is two stretches, each a share of its steps: the tokenizer, and the denoiser on its
    latents.

    Attributes:
        image_size: H = W of a frame.
        tokenizer: the causal video tokenizer.
        denoiser: the diffusion model of its latents.
        sampler: how frames are drawn.
        play_latents: how many latents the world remembers.
        action_low, action_high: the space of an action, each of ``denoiser.action_dim`` numbers.
        gradient_weight: of differences between neighboring pixels in the tokenizer's loss, which
            blurring makes large (ours; the paper has a perceptual and a Gram-matrix loss).
        squared_weight: of squared errors in it (ours).
        rare_colors: rare colors count more in its absolute errors (see ``rare_color_weights``), or
            what is small is left out (ours).
        tokenizer_span, model_span: the stretches.
        learning_rate: the highest, of AdamW.
        tokenizer_rate: the same, of the tokenizer.
        weight_decay: of AdamW.
        betas: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps of a stretch.
        max_steps: length of the run; the learning rate falls to zero along a cosine in each
            stretch.
        max_grad_norm: gradients are clipped to this.
        seed: of weights and noise.
    """

    image_size: int = 64
    tokenizer: CausalVideoConfig = field(default_factory=CausalVideoConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    play_latents: int = 4
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    gradient_weight: float = 0.5
    squared_weight: float = 4.0
    rare_colors: bool = True
    tokenizer_span: tuple[float, float] = (0.0, 0.4)
    model_span: tuple[float, float] = (0.4, 1.0)
    learning_rate: float = 2**-14.5
    tokenizer_rate: float = 1e-4
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_steps: int = 100
    max_steps: int = 100_000
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def latent_size(self) -> int:
        """h = w of a latent."""
        return self.image_size // self.tokenizer.space_ratio

    @property
    def action_channels(self) -> int:
        """Numbers of the actions that lead to one latent: all of its frames' actions in a row."""
        return self.denoiser.action_dim * self.tokenizer.time_ratio

    @property
    def transformer(self) -> VideoTransformerConfig:
        """The transformer's sizes, with what follows from latents and actions.

        A channel more than the latents have says which frames are known.
        """
        d, c = self.denoiser, self.tokenizer.latent_channels
        return VideoTransformerConfig(
            channels=c + 1,
            out_channels=c,
            height=self.latent_size,
            width=self.latent_size,
            frames=d.latent_frames,
            patch=d.patch,
            dim=d.dim,
            layers=d.layers,
            heads=d.heads,
            factorized=d.factorized,
            text_dim=d.text_dim,
            conditioning_dim=d.action_width if d.action_dim else 0,
            adaln=d.adaln,
            adaln_rank=d.adaln_rank,
        )


PAPER_7B = CosmosConfig(image_size=704)
"""Cosmos-1.0-Diffusion-7B (704 x 1280 pixels in the paper; square ones here)."""

PAPER_14B = replace(PAPER_7B, denoiser=replace(PAPER_7B.denoiser, dim=5120, layers=36, heads=40))
"""Cosmos-1.0-Diffusion-14B."""
