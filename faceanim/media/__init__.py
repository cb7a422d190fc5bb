"""Reading and writing of media: boxes, decoded frames, video, crop and image files, tensors.

Imports only `errors`, `schemas` and `tables`.
"""
