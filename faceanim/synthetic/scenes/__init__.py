"""Surroundings of a person: backgrounds, lamps, and the camera that takes the picture.

Imports `rendering`; `take` uses it.
"""
