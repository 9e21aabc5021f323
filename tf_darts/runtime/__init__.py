"""Strategy, compiled steps, checkpoints, work directory, progress."""
