"""Training: loops, losses, optimisers, checkpoints."""
