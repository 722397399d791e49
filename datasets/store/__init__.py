"""The prepared store: memory-mapped, opened in a moment."""
