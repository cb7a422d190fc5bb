"""Motion of a person by seed: speech, blinks, looks, expressions and turns of the head.

Imports `head`, for the names of the facial actions; `take` uses it.
"""
