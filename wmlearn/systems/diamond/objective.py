"""What DIAMOND's network is asked for: the paper's choice, and the names of others in the config.

The paper compares EDM with DDPM (Alonso et al. 2024, section 5.1); the change in place of the frame
is what this course's small networks learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.nn.diffusion import EDM


@dataclass(frozen=True)
class DDPM(EDM):
    """F = eps, the noise (Ho et al. 2020), with EDM's input and embedding of the noise level."""

    def weights(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(level), torch.ones_like(level)


OBJECTIVES: dict[str, type[EDM]] = {"edm": EDM, "ddpm": DDPM}

# The last frame -> what the diffused variable is counted from.
BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "frame": torch.zeros_like,  # x is the next frame itself (the paper)
    "change": lambda last: last,  # x is its change from the last one
}
