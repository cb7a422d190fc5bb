"""People by seed: shape, skin, hair and what is worn, as one textured mesh.

Imports `rendering` and `head`; `render` and `take` use it.
"""
