"""Animating a portrait: from a picture and a video, straight from a phone, to a video."""
