"""What only chapter 11, V-JEPA, needs: its mask widget, its judge of motions, its checks.

Each check compares an answer with closed forms and invariances, never with a trained score. The
definitions are those of Su et al. 2021 (rotary positions), Roy & Vetterli 2007 (effective rank),
and Bardes et al. 2024 and Assran et al. 2025 (V-JEPA).
"""
