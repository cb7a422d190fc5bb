"""Registered models in MLflow: versions, model cards, validation, and promotion to champion.

Imports `evaluation`, `inference`, `models`, `media` and the layers below. Exports nothing, so that importing
`card` does not import MLflow.
"""
