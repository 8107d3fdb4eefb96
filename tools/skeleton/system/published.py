"""Weights of the published My Model in our modules; ``hub.read_published`` reads the file."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from wmlearn.hub import part_of, renamed

# Published name -> ours, in this order; the rest of a name is the same in both.
_RULES = [
    (r"^blocks\.", "layers."),
]


def convert(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' weights -> ``Network`` state dict."""
    part = part_of(weights, "model.", "a checkpoint of the authors")
    return {renamed(name, _RULES): value for name, value in part.items()}
