"""Checks of the exercises of chapter 9, Genie.

Each compares an answer with closed forms, gradients and invariances, never with a trained score.
The equations are those of van den Oord et al. 2017 (VQ-VAE), Chang et al. 2022 (MaskGIT) and Bruce
et al. 2024 (Genie).
"""

from __future__ import annotations

from wmlearn.teach.genie import codes, dynamics, judging  # noqa: F401  they register
