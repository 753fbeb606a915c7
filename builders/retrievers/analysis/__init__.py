"""Text → terms, by language."""
