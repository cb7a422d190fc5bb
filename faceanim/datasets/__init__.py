"""Datasets: the batches that trainings read."""
