"""Faces in videos: detection, tracking, cropping and landmarks, and the stages `crop` and `landmarks`.

May import `ingest`, `models` and the layers below them, but neither `datasets` nor `training`.
"""
