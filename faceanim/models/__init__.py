"""The networks, one module per file; `build` is the only place that assembles them from their configuration.

Imports only `config`, `errors` and `tables`.
"""
