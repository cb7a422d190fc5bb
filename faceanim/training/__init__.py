"""Training of the two networks: loop, losses, optimizers, checkpoints and monitoring.

May import `datasets`, `models` and the layers below them.
"""
