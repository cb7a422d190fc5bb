"""The registered model: its versions in MLflow, what may become champion, and the commands for it.

Empty, so that what needs no MLflow (`card`, `judge`, `commands`) is imported without it.
"""
