"""V-JEPA 2-AC: a world model over frozen V-JEPA 2 features (Assran et al. 2025, section 3)."""

from typing import TYPE_CHECKING

from wmlearn.systems import later
from wmlearn.systems.vjepa2_ac.config import PAPER, ACPredictorConfig, VJEPA2ACConfig
from wmlearn.systems.vjepa2_ac.network import VJEPA2ACNetwork
from wmlearn.systems.vjepa2_ac.predictor import ACPredictor
from wmlearn.systems.vjepa2_ac.world import ACState, VJEPA2ACWorld

if TYPE_CHECKING:
    from wmlearn.systems.vjepa2_ac.system import VJEPA2AC

__all__ = [
    "PAPER",
    "ACPredictor",
    "ACPredictorConfig",
    "ACState",
    "VJEPA2AC",
    "VJEPA2ACConfig",
    "VJEPA2ACNetwork",
    "VJEPA2ACWorld",
]

__getattr__ = later(__name__, VJEPA2AC="system")
