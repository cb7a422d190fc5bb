"""The pipeline as Prefect flows over DVC's stages: order, shards as tasks, run pages, servers and the demo.

No machine learning here. Imports `faceanim`; only `stages` imports it.
"""
