"""The numbers of the course's Sora, as frozen dataclasses.

The report (Brooks, Peebles et al. 2024) publishes ideas and no numbers; ``LARGE`` therefore takes
those of open models that follow it, and says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wmlearn.envs.scenes import vocabulary
from wmlearn.nn.autoencoder import AutoencoderConfig
from wmlearn.nn.video_transformer import VideoTransformerConfig


@dataclass(frozen=True)
class TextConfig:
    """The word encoder.

    Attributes:
        words: all that it knows.
        length: L, words of a text at most.
        dim: width of a word's vector.
        depth, heads: of its transformer.
        drop: share of training clips whose text is hidden, for classifier-free guidance.
    """

    words: tuple[str, ...] = field(default_factory=vocabulary)
    length: int = 24
    dim: int = 64
    depth: int = 2
    heads: int = 4
    drop: float = 0.1


@dataclass(frozen=True)
class SamplerConfig:
    """How a video is drawn.

    Attributes:
        num_steps: Euler steps from noise to data.
        guidance: of classifier-free guidance on the words; 1 spares half of the computation.
        shift: more of the steps where there is more noise (Esser et al. 2024).
        window: how many frames at most are drawn together with given ones, which count; what comes
            later is drawn after them, window by window. 0: the whole video at once, as always
            where no frame is given.
        overlap: the last frames, at most, that are given to a window.
    """

    num_steps: int = 10
    guidance: float = 3.0
    shift: float = 3.0
    window: int = 0
    overlap: int = 5

    def __post_init__(self) -> None:
        if self.window and not 0 < self.overlap < self.window:
            raise ValueError(
                f"overlap={self.overlap} must be at least 1 and less than window={self.window}."
            )


@dataclass(frozen=True)
class SoraConfig:
    """All of Sora, and how it is optimized.

    A run is two stretches, each a share of its steps: the autoencoder, then the video model on its
    latents (or on pixels, without an autoencoder).

    Attributes:
        image_size: (H, W) of a frame.
        frames: T of a video.
        autoencoder: of single frames; None: patches of pixels.
        patch: side of a spacetime patch, in latent positions (or pixels).
        tubelet: frames that one token covers.
        dim, layers, heads: of the transformer.
        factorized: attention over space and time in turn, or over all tokens.
        adaln, adaln_rank: see ``VideoTransformerConfig``.
        frame_features: numbers, sines and cosines of a frame's place in the video, that its
            condition holds; 0: a frame knows only how far it is from others.
        text: the word encoder.
        prediction: what the network is asked for: the clean latent, the flow, v or the noise.
        flow_loss: the loss weighs errors of the clean latent as those of the flow (divided by t^2);
            otherwise all noise levels count alike.
        level_loc, level_scale: logit t ~ N(loc, scale^2); a higher loc trains more noise.
        given_share: share of training clips that get their first frames clean...
        given_least, given_most: ...between so many and so many of them.
        image_share: share of training steps that see single frames, as videos of one frame.
        sampler: how a video is drawn.
        kl_weight: of the latents' divergence from the standard normal, for each number.
        autoencoder_span, video_span: the stretches.
        learning_rate: the highest, of AdamW.
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps of a stretch.
        max_steps: length of the run; the rate falls to zero along a cosine in each stretch.
        max_grad_norm: gradients are clipped to this.
        seed: of weights and noise.
    """

    image_size: tuple[int, int] = (64, 64)
    frames: int = 16
    autoencoder: AutoencoderConfig | None = field(default_factory=AutoencoderConfig)
    patch: int = 2
    tubelet: int = 1
    dim: int = 192
    layers: int = 5
    heads: int = 6
    factorized: bool = True
    adaln: Literal["full", "shared"] = "shared"
    adaln_rank: int = 16
    frame_features: int = 0
    text: TextConfig = field(default_factory=TextConfig)
    prediction: Literal["x", "flow", "v", "eps"] = "x"
    flow_loss: bool = False
    level_loc: float = 1.5
    level_scale: float = 1.0
    given_share: float = 0.5
    given_least: int = 1
    given_most: int = 3
    image_share: float = 0.125
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    kl_weight: float = 1e-5
    autoencoder_span: tuple[float, float] = (0.0, 0.3)
    video_span: tuple[float, float] = (0.3, 1.0)
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100
    max_steps: int = 10_000
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def latent_channels(self) -> int:
        """c, of what is diffused."""
        return self.autoencoder.latent_channels if self.autoencoder else 3

    @property
    def latent_size(self) -> tuple[int, int]:
        """(h, w) of what is diffused."""
        factor = self.autoencoder.factor if self.autoencoder else 1
        return self.image_size[0] // factor, self.image_size[1] // factor

    @property
    def transformer(self) -> VideoTransformerConfig:
        """The sizes of the network, which follow from the rest."""
        height, width = self.latent_size
        return VideoTransformerConfig(
            channels=self.latent_channels,
            height=height,
            width=width,
            frames=self.frames,
            patch=self.patch,
            tubelet=self.tubelet,
            dim=self.dim,
            layers=self.layers,
            heads=self.heads,
            factorized=self.factorized,
            text_dim=self.text.dim,
            conditioning_dim=self.frame_features,
            adaln=self.adaln,
            adaln_rank=self.adaln_rank,
        )


LARGE = SoraConfig(
    image_size=(256, 256),
    dim=1152,
    layers=28,
    heads=16,
    adaln="full",
    learning_rate=1e-4,
    weight_decay=0.0,
    warmup_steps=1000,
    max_steps=400_000,
)
"""Not Sora's numbers, which are not published: the transformer is DiT-XL/2 (Peebles & Xie 2023) in
Latte's arrangement for video (Ma et al. 2024), on Stable Diffusion's latents."""
