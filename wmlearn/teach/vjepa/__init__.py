"""Checks of the exercises of chapter 11, V-JEPA.

Each compares an answer with closed forms and invariances, never with a trained score. The
definitions are those of Su et al. 2021 (rotary positions), Roy & Vetterli 2007 (effective rank),
and Bardes et al. 2024 and Assran et al. 2025 (V-JEPA).
"""

from __future__ import annotations

from wmlearn.teach.vjepa import collapse, loss, tokens  # noqa: F401  they register
