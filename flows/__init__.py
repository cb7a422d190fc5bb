"""The pipeline as Prefect flows over DVC's stages: order, shards as tasks, run pages, servers and the demo.

No machine learning here. Imports `faceanim`; only `stages` imports it. The tools that are
started or imported from here do not report to their makers.
"""

import os

os.environ |= {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "true"}
