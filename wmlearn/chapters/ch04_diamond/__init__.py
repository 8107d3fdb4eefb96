"""What only chapter 4, DIAMOND, needs: the checks of its exercises (one file each).

Each check compares an answer with closed forms and invariances, never with a trained score. The
equations are those of Karras et al. 2022 (EDM) and Alonso et al. 2024 (DIAMOND).
"""
