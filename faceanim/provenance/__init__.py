"""Marks that identify a result as synthetic: metadata, a C2PA manifest and an invisible watermark.

Imports only `media`, `schemas`, `tables`, `errors` and the version.
"""
