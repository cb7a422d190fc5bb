"""Ingest: from lists of videos to verified files on disk."""
