"""One thin script per DVC stage: its section of params.yaml, one call of the library, its metrics."""
