"""Videos that cannot be: true ones with one law broken, of equal look.

Each takes states ``[N, T, S]`` of ``simulate`` and gives states of the same shape in which the
first frames are the same, and something impossible happens at frame ``at``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wmlearn.envs.scenes.physics import BODIES, COLORS, STATE_NAMES, Scenes, simulate

Violation = Callable[[NDArray, int], NDArray]
_OF_BODY = len(STATE_NAMES[:-2]) // BODIES


def vanish(state: NDArray, at: int) -> NDArray:
    """The first body is gone."""
    out, bodies = _copy(state)
    bodies[:, at:, 0, 0] = 0
    return out


def teleport(state: NDArray, at: int) -> NDArray:
    """The first body jumps to the mirror image of its place, and goes on from there."""
    out, bodies = _copy(state)
    bodies[:, at:, 0, 1:3] = 64 - bodies[:, at:, 0, 1:3]
    bodies[:, at:, 0, 3:5] *= -1
    return out


def recolor(state: NDArray, at: int) -> NDArray:
    """The first body takes another color."""
    out, bodies = _copy(state)
    other = (bodies[:, at:, 0, 6] + 3) % len(COLORS)
    taken = other == bodies[:, at:, 1, 6]
    bodies[:, at:, 0, 6] = (other + taken) % len(COLORS)
    return out


def turn_back(state: NDArray, at: int) -> NDArray:
    """All goes backwards, though nothing was hit."""
    out = state.copy()
    back = np.arange(at - 1, -1, -1)[: state.shape[1] - at]
    out[:, at : at + len(back)] = state[:, back]
    out[:, at + len(back) :] = state[:, :1]
    return out


def stop(state: NDArray, at: int) -> NDArray:
    """All stands still, though nothing was hit."""
    out = state.copy()
    out[:, at:] = state[:, at : at + 1]
    return out


def pass_through(state: NDArray, at: int) -> NDArray:
    """Two bodies go through each other: each is run from frame 0 as if it were alone."""
    out, bodies = _copy(state)
    for k in range(BODIES):
        alone = state[:, 0].copy().reshape(len(state), -1)
        only = alone[:, :-2].reshape(len(state), BODIES, _OF_BODY)
        kept = only[:, k].copy()
        only[:, :, 0] = 0
        only[:, 0] = kept
        again, _ = simulate(Scenes.from_state(alone), state.shape[1])
        one = again[..., :-2].reshape(*state.shape[:2], BODIES, _OF_BODY)[:, :, 0]
        bodies[:, :, k] = one
    return out


def faster(state: NDArray, at: int) -> NDArray:
    """From then on all runs half as fast again: subtle."""
    times = at + (np.arange(state.shape[1]) - at) * 1.5
    times = np.where(np.arange(state.shape[1]) < at, np.arange(state.shape[1]), times)
    low = np.clip(np.floor(times).astype(int), 0, state.shape[1] - 2)
    part = np.clip(times - low, 0, 1)[None, :, None]
    return ((1 - part) * state[:, low] + part * state[:, low + 1]).astype(state.dtype)


GROSS: dict[str, Violation] = {
    "vanishes": vanish,
    "jumps": teleport,
    "changes color": recolor,
    "turns back": turn_back,
    "pass through each other": pass_through,
}
SUBTLE: dict[str, Violation] = {"stops": stop, "speeds up": faster}


def _copy(state: NDArray) -> tuple[NDArray, NDArray]:
    """A copy, and a view of its bodies ``[N, T, K, ...]``."""
    out = state.copy()
    bodies = out[..., :-2]
    view = np.lib.stride_tricks.as_strided(
        bodies,
        shape=(*state.shape[:2], BODIES, _OF_BODY),
        strides=(*out.strides[:2], out.strides[2] * _OF_BODY, out.strides[2]),
    )
    return out, view
