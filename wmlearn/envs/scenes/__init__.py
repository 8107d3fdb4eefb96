"""Balls and squares in a box: exact two-dimensional physics, pictures, and captions that are true.

One module a part: ``physics`` (what happens), ``draw`` (what is seen), ``captions`` (what is said),
``sample`` (what is put into the box).
"""

from wmlearn.envs.scenes.captions import HELD_OUT, caption, parse, vocabulary
from wmlearn.envs.scenes.draw import draw
from wmlearn.envs.scenes.physics import COLORS, SHAPES, STATE_NAMES, Scenes, simulate
from wmlearn.envs.scenes.sample import FAMILIES, Ranges, sample_scenes

__all__ = [
    "COLORS",
    "FAMILIES",
    "HELD_OUT",
    "SHAPES",
    "STATE_NAMES",
    "Ranges",
    "Scenes",
    "caption",
    "draw",
    "parse",
    "sample_scenes",
    "simulate",
    "vocabulary",
]
