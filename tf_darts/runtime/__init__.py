"""Devices, strategies, compiled steps, random draws, seeds, progress: nothing of work directories."""
