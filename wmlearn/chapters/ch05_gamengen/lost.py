"""Where do the monsters get lost? Four answers, each off the engine's labels.

Of the monsters that are in view some steps ahead: how many are still to be seen after encoder and
decoder; after one step from a real past; after own steps; and how many could be *known* at all,
since the player turns and most of what comes into view was behind it. The player stands in the
middle of the hall, so that a monster's bearing (the player's angle, less where it is in the
picture) says where to expect it; it is known from the last frame in which it was seen.
Shapes: B clips, T frames; states float ``[B, T, S]``, as ``HUD_STATE``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wmlearn.chapters.ch05_gamengen.judge import NEAR, enemies, in_place
from wmlearn.chapters.ch05_gamengen.measure import share_in_place, through_autoencoder
from wmlearn.data.clip import Clip
from wmlearn.envs.doom import HUD_STATE, MAX_ENEMIES
from wmlearn.world import World

VIEW_ANGLE = 90.0  # degrees that the picture is wide
PASTS = (1, 4, 16, 64, 128)  # frames of which bearings are remembered
STEPS = (1, 8, 32)


def bearings(state: Tensor) -> tuple[Tensor, Tensor]:
    """Degrees ``[..., 5]`` at which monsters stand, and bool: which are labelled in this frame."""
    first = HUD_STATE.index("enemy0_x")
    boxes = state[..., first : first + 4 * MAX_ENEMIES].unflatten(-1, (MAX_ENEMIES, 4))
    aside = 2 * boxes[..., 0] - 1  # -1 and 1 are the picture's edges
    wide = math.tan(math.radians(VIEW_ANGLE / 2))
    angle = state[..., HUD_STATE.index("angle"), None]
    return angle - torch.rad2deg(torch.atan(aside * wide)), boxes[..., 3] > 0


def column(bearing: Tensor, angle: Tensor) -> Tensor:
    """Where in the picture, in pixels, a bearing is seen by a player who looks along ``angle``.

    Infinite where it is behind.
    """
    off = (angle - bearing + 180) % 360 - 180
    wide = math.tan(math.radians(VIEW_ANGLE / 2))
    place = 32 + 32 * torch.tan(torch.deg2rad(off)) / wide
    return torch.where(off.abs() < 60, place, torch.full_like(place, torch.inf))


def to_be_known(states: Tensor, now: int, past: int) -> tuple[Tensor, Tensor]:
    """Of each clip's monsters at frame ``now + h`` (its last one), how many a memory would place.

    Args:
        states: ``[B, T, S]``; the last frame is the one to be foretold.
        now: number of the last frame that is known.
        past: known frames that are remembered.

    Returns:
        How many of them lie within ``NEAR`` pixels, across, of a remembered bearing, and how many
        there are: float64 ``[B]``.
    """
    where, seen = bearings(states[:, max(0, now - past + 1) : now + 1])
    angle = states[:, -1, HUD_STATE.index("angle")]
    places = column(where.flatten(1), angle[:, None])
    places = torch.where(seen.flatten(1), places, torch.full_like(places, torch.inf))
    centres, there = enemies(states[:, -1])
    distance = (centres[..., :1] - places[:, None]).abs().amin(-1)
    return (there & (distance <= NEAR)).double().sum(-1), there.double().sum(-1)


def known(states: Tensor, now: int, episodes: Tensor, steps=(1, 8, 32)) -> dict:
    """The share that a memory of so many frames would place, ``{steps: {past: Estimate}}``."""
    found = {}
    for h in steps:
        rows = {}
        for past in sorted({min(past, now + 1) for past in PASTS}):
            right, count = to_be_known(states[:, : now + h + 1], now, past)
            rows[past] = share_in_place(right.numpy(), count.numpy(), episodes)
        found[h] = rows | {"monsters": int(count.sum())}
    return found


@torch.inference_mode()
def one_step(world: World, clip: Clip, h: int, seed: int = 0) -> Tensor:
    """The frame ``[B, C, H, W]`` at own step ``h``, dreamed in one step from the real past."""
    n = world.context_frames
    state = world.reset(clip.time(h - 1, n + h - 1))
    generator = torch.Generator().manual_seed(seed)
    return world.step(state, clip.actions[:, n + h - 2], generator)[1].frame


def lost(world: World, system, clip: Clip, dream: Tensor, episodes: Tensor, finder) -> dict:
    """The share in place at each of ``STEPS``, ``{step: {source: Estimate}}``.

    Args:
        world: what is judged, with ``context_frames`` n.
        system: its autoencoder.
        clip: real clips of at least n + 32 frames.
        dream: uint8 ``[B, >= 32, 3, 64, 64]``, own steps after the first n frames.
        episodes: of the clips.
        finder: see ``measure.instruments``.
    """
    n, found = world.context_frames, {}
    for h in STEPS:
        real, state = clip.frames[:, n + h - 1], clip.state[:, n + h - 1]
        sources = {
            "real": real,
            "decoded": through_autoencoder(system, real[:, None])[:, 0],
            "one step": one_step(world, clip, h),
            "own steps": dream[:, h - 1],
            "copy": clip.frames[:, n - 1],
        }
        counted = {name: in_place(finder, frames, state) for name, frames in sources.items()}
        found[h] = {name: share_in_place(*pair, episodes) for name, pair in counted.items()}
        found[h]["monsters"] = int(counted["real"][1].sum())
    return found
