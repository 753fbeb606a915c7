"""Graded candidates → chosen/rejected pairs: one file a rule."""
