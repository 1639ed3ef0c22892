"""Training: configuration, augmentation, the step, the loop and its checkpoints."""
