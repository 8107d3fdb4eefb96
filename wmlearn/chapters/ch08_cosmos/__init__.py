"""Chapter 8: what only Cosmos is asked: the probe of driving, the closed loop, curation."""
