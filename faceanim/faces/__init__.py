"""Faces: finding, following and cropping them, and their landmarks."""
