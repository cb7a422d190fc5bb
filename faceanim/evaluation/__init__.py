"""Evaluation on the held-out people: the pinned protocol, its metrics and baselines, and the HTML report.

May import `inference`, `training` and everything below them.
"""
