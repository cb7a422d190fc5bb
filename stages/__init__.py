"""Scripts of DVC's stages: each reads its section of params.yaml, calls the library once and writes metrics.

Imports `flows` and `faceanim`; imported by neither.
"""
