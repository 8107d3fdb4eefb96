"""What only chapter 9, Genie, needs: its widgets, its judges, how its data was played, its checks.

Each check compares an answer with closed forms, gradients and invariances, never with a trained
score. The equations are those of van den Oord et al. 2017 (VQ-VAE), Chang et al. 2022 (MaskGIT) and
Bruce et al. 2024 (Genie).
"""
