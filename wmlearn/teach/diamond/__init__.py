"""Checks of the exercises of chapter 4, DIAMOND.

Each compares an answer with closed forms and invariances, never with a trained score. The
equations are those of Karras et al. 2022 (EDM) and Alonso et al. 2024 (DIAMOND).
"""

from __future__ import annotations

from wmlearn.teach.diamond import agent, denoiser, sampling  # noqa: F401  they register
