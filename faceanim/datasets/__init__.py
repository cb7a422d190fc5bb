"""Training data: random frames of the crops, assembled into the batches of the two trainings.

May import `faces` and the layers below it.
"""
