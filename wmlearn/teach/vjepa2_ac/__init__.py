"""Checks of the exercises of chapter 12, V-JEPA 2-AC.

Each compares an answer with closed forms and invariances, never with a trained score. The
equations are those of Assran et al. 2025 (V-JEPA 2), section 3.
"""

from __future__ import annotations

from wmlearn.teach.vjepa2_ac import planning, predictor  # noqa: F401  they register
