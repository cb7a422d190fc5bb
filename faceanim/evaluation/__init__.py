"""Evaluation: the pinned protocol, its baselines, and what is shown of them."""
