"""The numbers of V-JEPA 2-AC (Assran et al. 2025, section 3 and appendix B)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wmlearn.systems.vjepa.config import EncoderConfig


@dataclass(frozen=True)
class ACPredictorConfig:
    """The action-conditioned transformer over features of single frames.

    Attributes:
        feature_dim: D, width of the encoder's features.
        grid_side: patches along height and width of a frame.
        frames: T, the most frames that it looks back on.
        action_dim: numbers in an action.
        state_dim: numbers in a state (the arm's pose).
        dim: its width.
        depth: transformer blocks.
        heads: attention heads.
        mlp_ratio: hidden width of a block's MLP, in multiples of ``dim``.
    """

    feature_dim: int = 1408
    grid_side: int = 16
    frames: int = 16
    action_dim: int = 7
    state_dim: int = 7
    dim: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0


@dataclass(frozen=True)
class VJEPA2ACConfig:
    """All of V-JEPA 2-AC, and how it is optimized.

    Attributes:
        encoder: sizes of the frozen video transformer.
        predictor: the action-conditioned transformer.
        encoder_from: checkpoint (name or folder) whose encoder is frozen here; empty keeps random
            weights, which is for tests.
        low: lowest action.
        high: highest action.
        state_mean: of each of the arm's numbers, the first ones of ``Clip.state``.
        state_std: of each of them.
        state_per_action: how far the state goes for an action of 1, rows are states, columns are
            actions; the recipe fits it to the recording. In a plan the arm's next pose is
            computed with it, as the published code adds an action to the pose.
        predict: what the predictor's output is: the next "features" (the paper), or their "change"
            from the last ones; most of a picture stays as it is.
        normalize: each "token" to mean 0 and variance 1 over its channels (the paper); or, after
            that, each channel over the "recording", with a mean for each place. Under a camera that
            stands still most of a feature says where it is; what is left says what is there.
        rollout_steps: how far the rollout loss looks ahead (the paper's T = 2); 1 for none.
        inverse_weight: of the inverse-dynamics term, which must tell the action from the features
            before it and those predicted after it; 0 for none, as in the paper.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps.
        max_steps: if > 0 the learning rate falls to zero along a cosine by this step.
        max_grad_norm: gradients are clipped to this norm.
        seed: of weights.
    """

    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(dim=1408, depth=40))
    predictor: ACPredictorConfig = field(default_factory=ACPredictorConfig)
    encoder_from: str = ""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    state_mean: tuple[float, ...] = ()
    state_std: tuple[float, ...] = ()
    state_per_action: tuple[tuple[float, ...], ...] = ()
    predict: Literal["features", "change"] = "features"
    normalize: Literal["token", "recording"] = "token"
    rollout_steps: int = 2
    inverse_weight: float = 0.0
    learning_rate: float = 4.25e-4
    weight_decay: float = 0.04
    warmup_steps: int = 4500
    max_steps: int = 0
    max_grad_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.predictor.feature_dim != self.encoder.dim:
            raise ValueError(
                f"predictor.feature_dim={self.predictor.feature_dim} must be the encoder's dim, "
                f"{self.encoder.dim}."
            )


PAPER = VJEPA2ACConfig()
