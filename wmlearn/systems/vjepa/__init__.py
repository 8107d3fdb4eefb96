"""V-JEPA: predict the features of what is hidden in a video (Bardes 2024, Assran et al. 2025)."""

from typing import TYPE_CHECKING

from wmlearn.systems import later
from wmlearn.systems.vjepa.config import (
    LONG_RANGE,
    PAPER,
    SHORT_RANGE,
    EncoderConfig,
    MaskConfig,
    PredictorConfig,
    VJEPAConfig,
)
from wmlearn.systems.vjepa.encoder import Encoder, normalize
from wmlearn.systems.vjepa.masks import draw_mask
from wmlearn.systems.vjepa.predictor import Predictor

if TYPE_CHECKING:
    from wmlearn.systems.vjepa.system import VJEPA

__all__ = [
    "LONG_RANGE",
    "PAPER",
    "SHORT_RANGE",
    "VJEPA",
    "Encoder",
    "EncoderConfig",
    "MaskConfig",
    "Predictor",
    "PredictorConfig",
    "VJEPAConfig",
    "draw_mask",
    "normalize",
]

__getattr__ = later(__name__, VJEPA="system")
