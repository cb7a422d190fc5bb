"""Which of a detector's landmarks are the corners of the eyes and the mouth."""

EYES = {"ibug68": ((36, 39), (42, 45)), "mediapipe478": ((33, 133), (362, 263))}
"""By scheme: outer and inner (then inner and outer) corner of the eye on the image's left and right."""
MOUTH = {"ibug68": (48, 54), "mediapipe478": (61, 291)}
"""By scheme: the mouth's corners, image left then right."""
