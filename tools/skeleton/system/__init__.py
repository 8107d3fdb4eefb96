"""My Model: say in one sentence what it is (authors, year)."""

from wmlearn.systems.mymodel.config import PAPER, MyModelConfig
from wmlearn.systems.mymodel.network import Network
from wmlearn.systems.mymodel.system import MyModel
from wmlearn.systems.mymodel.world import MyModelState, MyModelWorld

__all__ = ["PAPER", "MyModel", "MyModelConfig", "MyModelState", "MyModelWorld", "Network"]
