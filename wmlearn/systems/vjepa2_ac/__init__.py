"""V-JEPA 2-AC: a world model over frozen V-JEPA 2 features (Assran et al. 2025, section 3)."""
