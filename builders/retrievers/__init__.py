"""Query → ranked documents: one file an engine."""
