"""What only one chapter needs, a folder each: judges, widgets, ablations, checks, shipping."""
