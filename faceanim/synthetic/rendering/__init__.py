"""From triangles to light, on the CPU: rasterizer and shader, compiled by numba.

Imports `head`, for the materials.
"""
