"""UniSim: one simulator, actions in any form (Yang et al. 2023)."""

from typing import TYPE_CHECKING

from wmlearn.systems.unisim.actions import (
    ActionEncoder,
    Actions,
    Keys,
    Motion,
    Sentences,
    action_space,
)
from wmlearn.systems.unisim.config import (
    PAPER,
    ActionConfig,
    Domain,
    SamplerConfig,
    SimulatorConfig,
    StepsConfig,
    UniSimConfig,
)
from wmlearn.systems.unisim.simulator import Simulator
from wmlearn.systems.unisim.steps import StepsToGo

if TYPE_CHECKING:
    from wmlearn.systems.unisim.system import UniSim
    from wmlearn.systems.unisim.world import UniSimState, UniSimWorld

__all__ = [
    "PAPER",
    "ActionConfig",
    "ActionEncoder",
    "Actions",
    "Domain",
    "Keys",
    "Motion",
    "SamplerConfig",
    "Sentences",
    "Simulator",
    "SimulatorConfig",
    "StepsConfig",
    "StepsToGo",
    "UniSim",
    "UniSimConfig",
    "UniSimState",
    "UniSimWorld",
    "action_space",
]

_LATER = {"UniSim": "system", "UniSimState": "world", "UniSimWorld": "world"}


def __getattr__(name: str) -> type:
    """``UniSim`` brings Lightning with it, seconds that an exercise need not wait."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"wmlearn.systems.unisim.{_LATER[name]}"), name)
