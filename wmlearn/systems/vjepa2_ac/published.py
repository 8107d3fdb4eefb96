"""Weights of the published V-JEPA 2-AC (facebookresearch/vjepa2) in our modules.

:func:`load` is what ``wmlearn.load_published("vjepa2-ac", path)`` calls.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wmlearn.hub import fill
from wmlearn.systems.vjepa.published import (
    convert_ac_predictor,
    convert_encoder,
    encoder_sizes,
    read_weights,
)
from wmlearn.systems.vjepa2_ac.config import PAPER, VJEPA2ACConfig
from wmlearn.systems.vjepa2_ac.system import VJEPA2AC

# The arm's pose is x, y, z, three angles and the gripper. An action is added to it, and neither is
# standardized; plans move at most 5 cm an axis, do not turn, and open or close the gripper.
_REACH = (0.05, 0.05, 0.05, 0.0, 0.0, 0.0, 0.75)
DROID = replace(
    PAPER,
    low=tuple(-x for x in _REACH),
    high=_REACH,
    state_mean=(0.0,) * 7,
    state_std=(1.0,) * 7,
    state_per_action=tuple(tuple(float(i == j) for j in range(7)) for i in range(7)),
)
"""The paper's sizes, with the actions and poses of the robot that it was trained on."""


def load(path: str | Path, config: VJEPA2ACConfig | None = None) -> VJEPA2AC:
    """The published encoder with its action-conditioned predictor.

    Args:
        path: ``vjepa2-ac-vitg.pt``.
        config: by default the paper's sizes, with the arm's actions and poses as published.
    """
    weights = read_weights(path)
    encoder, predictor = convert_encoder(weights), convert_ac_predictor(weights, "predictor")
    if config is None:
        config = replace(DROID, encoder=encoder_sizes(encoder, path))
    system = VJEPA2AC(config)
    fill(system.encoder, encoder, path)
    fill(system.predictor, predictor, path)
    return system
