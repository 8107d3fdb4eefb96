"""How a system is trained: the run's numbers, the tiers, optimizers, and what a recipe says."""
