"""What DOOM's engine tells beside a picture, made up for tests."""

from __future__ import annotations

import torch

from wmlearn.envs.doom import HUD_STATE


def state(*boxes, ammo=26.0, health=100.0):
    """What the engine would tell of monsters at these boxes (x, y, width, height) in pixels."""
    known = torch.zeros(len(HUD_STATE))
    known[0], known[1] = ammo, health
    first = HUD_STATE.index("enemy0_x")
    for i, box in enumerate(boxes):
        known[first + 4 * i : first + 4 * i + 4] = torch.tensor(box) / 64
    return known
