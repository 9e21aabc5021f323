"""Images: sources, augmentation, batches."""
