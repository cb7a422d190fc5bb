"""Stages `index` and `download`: from lists of videos to verified files on disk.

May import `incremental`, `workers`, `media` and the layers below them, but neither `models` nor `faces`.
"""
