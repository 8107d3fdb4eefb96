"""The numbers of V-JEPA 2-AC's predictor (Assran et al. 2025, section 3 and appendix B)."""

from __future__ import annotations

from dataclasses import dataclass


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
