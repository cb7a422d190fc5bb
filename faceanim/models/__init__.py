"""The networks, one module per file; `build` is the only place that puts them together."""
