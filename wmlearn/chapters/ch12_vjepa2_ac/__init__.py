"""What only chapter 12, V-JEPA 2-AC, needs: its goal widget, its judge of goals, its checks.

Each check compares an answer with closed forms and invariances, never with a trained score. The
equations are those of Assran et al. 2025 (V-JEPA 2), section 3.
"""
