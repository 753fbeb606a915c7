"""Many candidates → the one to search with: one file a filter."""
