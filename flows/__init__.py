"""Prefect's side: order, shards as tasks, the demo. No machine learning here."""
