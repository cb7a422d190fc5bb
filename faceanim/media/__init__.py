"""Media: files to pixels and back."""
