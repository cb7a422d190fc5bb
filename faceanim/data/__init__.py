"""Data: where the videos come from, how they are fetched, read and written."""
