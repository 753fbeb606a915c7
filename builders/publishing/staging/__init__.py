"""Check a folder before it is published: one file a kind."""
