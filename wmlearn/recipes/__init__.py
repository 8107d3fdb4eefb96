"""How a system is trained: run settings, tiers, optimizers, schedules, the Recipe contract."""
