"""The numbers of V-JEPA and V-JEPA 2, as frozen dataclasses, and their presets.

``PAPER`` is V-JEPA 2's ViT-L (Assran et al. 2025, section 2 and appendix A;
facebookresearch/vjepa2, configs/train/vitl16). The tiers' own numbers are in ``recipe.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class EncoderConfig:
    """The video transformer: a clip becomes a grid of tubelets, and each a feature.

    Attributes:
        image_channels: C of a frame.
        image_size: H = W of a frame.
        patch_size: height and width of a tubelet, in pixels.
        frames: T of a clip.
        tubelet_size: length of a tubelet, in frames.
        dim: D, width of a feature.
        depth: transformer blocks.
        heads: attention heads.
        mlp_ratio: hidden width of a block's MLP, in multiples of ``dim``.
    """

    image_channels: int = 3
    image_size: int = 256
    patch_size: int = 16
    frames: int = 16
    tubelet_size: int = 2
    dim: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelets along time, height and width; tokens are numbered in this order."""
        side = self.image_size // self.patch_size
        return self.frames // self.tubelet_size, side, side

    @property
    def tokens(self) -> int:
        """N, the number of tubelets of a clip."""
        time, height, width = self.grid
        return time * height * width


@dataclass(frozen=True)
class PredictorConfig:
    """The narrow transformer that guesses the features of hidden tubelets.

    Attributes:
        dim: its width; narrower than the encoder's.
        depth: transformer blocks.
        heads: attention heads.
        mlp_ratio: hidden width of a block's MLP, in multiples of ``dim``.
        mask_tokens: learned tokens that stand for "what is here?", one for each kind of mask.
    """

    dim: int = 384
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    mask_tokens: int = 2


@dataclass(frozen=True)
class MaskConfig:
    """One kind of multi-block mask; a block hides its place over the whole clip.

    Attributes:
        blocks: how many blocks are drawn; they may overlap.
        scale: area of a block, as a share of the frame.
        aspect: smallest and largest height / width of a block.
        hidden: share of the places that is predicted. Blocks overlap by chance, so the published
            code cuts every batch to its smallest count; a fixed share keeps shapes static.
        visible: share of the places that the encoder sees.
    """

    blocks: int = 8
    scale: float = 0.15
    aspect: tuple[float, float] = (0.75, 1.5)
    hidden: float = 0.62
    visible: float = 0.3


SHORT_RANGE = MaskConfig()
LONG_RANGE = MaskConfig(blocks=2, scale=0.7, hidden=0.83, visible=0.125)


@dataclass(frozen=True)
class VJEPAConfig:
    """All of V-JEPA, and how it is optimized.

    Attributes:
        encoder: the video transformer.
        predictor: the narrow transformer.
        masks: kinds of masks; each clip is predicted once under each.
        frame_stride: every how many frames of a clip the encoder sees one.
        reverse: share of the clips that are played backwards in training, chosen at random. With
            0.5 no scene goes with one direction of motion only, so the direction has to be seen.
        predict: "features" (the paper), or "pixels": the same network filling in pixels, as
            VideoMAE does (Tong et al. 2022), for comparison.
        target: whose features are predicted: those of the running average of the encoder ("ema",
            the paper), of the encoder itself behind a stop-gradient ("stop-gradient"), or of the
            encoder itself with gradients ("none"); the last two are ablations.
        use_predictor: false guesses the mean of the visible features everywhere: an ablation.
        regularizer: what else holds features apart: "none" (the paper), "vicreg" (Bardes et al.
            2022: variance and covariance) or "sigreg" (Balestriero & LeCun 2025).
        regularizer_weight: of that term beside the L1 loss.
        ema: how much of its past the averaged encoder keeps at each step.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps.
        max_steps: if > 0 the learning rate falls to zero along a cosine by this step; the paper
            keeps it constant (0) and cools down in a phase of its own.
        max_grad_norm: gradients are clipped to this norm; 0 for never, as in the paper.
        seed: of weights and masks.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    predictor: PredictorConfig = field(default_factory=PredictorConfig)
    masks: tuple[MaskConfig, ...] = (SHORT_RANGE, LONG_RANGE)
    frame_stride: int = 1
    reverse: float = 0.0
    predict: Literal["features", "pixels"] = "features"
    target: Literal["ema", "stop-gradient", "none"] = "ema"
    use_predictor: bool = True
    regularizer: Literal["none", "vicreg", "sigreg"] = "none"
    regularizer_weight: float = 0.1
    ema: float = 0.99925
    learning_rate: float = 5.25e-4
    weight_decay: float = 0.04
    warmup_steps: int = 12_000
    max_steps: int = 0
    max_grad_norm: float = 0.0
    seed: int = 0


PAPER = VJEPAConfig()
