"""Figures that read well on light and dark pages, with alt text.

Every function returns an object that shows itself in a notebook, as ``<img alt="...">`` of at most
60 KB or, where there is something to turn or to point at, as a plotly figure over its data as a
table. Backgrounds are transparent, text is one neutral gray, and two hues have a fixed meaning
everywhere in the project: :data:`REAL` and :data:`DREAM`.
"""

from wmlearn.viz.figures import (
    KINDS,
    Figure,
    counterfactual_strip,
    curves,
    filmstrip,
    loss_curve,
    strip,
)
from wmlearn.viz.films import Animation, gif, side_by_side
from wmlearn.viz.interactive import Interactive, Line, Point, lines, surface
from wmlearn.viz.style import DREAM, MAX_BYTES, NEUTRAL, REAL, listed, style

__all__ = [
    "DREAM",
    "KINDS",
    "MAX_BYTES",
    "NEUTRAL",
    "REAL",
    "Animation",
    "Figure",
    "Interactive",
    "Line",
    "Point",
    "counterfactual_strip",
    "curves",
    "filmstrip",
    "gif",
    "lines",
    "listed",
    "loss_curve",
    "side_by_side",
    "strip",
    "style",
    "surface",
]
