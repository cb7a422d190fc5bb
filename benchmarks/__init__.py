"""What is fast, measured against what a user would run instead: `python -m benchmarks.<name>`."""
