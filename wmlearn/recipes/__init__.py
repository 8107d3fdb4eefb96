"""How a system is trained: the run's numbers, the tiers, and what a recipe says."""
