"""Benchmarks of speed, memory and quality against what a user would run instead.

Run one with `python -m benchmarks.<name>`. Imports `faceanim` and `flows`; only tests import it.
"""
