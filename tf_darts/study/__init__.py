"""Studies: a grid of searches, selections and seeds, run side by side, and its results."""
