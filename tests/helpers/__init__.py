"""Functions and constants that several test files share."""
