"""Graded candidates: what an expansion does to a query's retrieval."""
