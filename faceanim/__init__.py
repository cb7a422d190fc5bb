"""Animate any portrait: from a list of talking-head videos to a registered model."""

__version__ = "0.1.0"
