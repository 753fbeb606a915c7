"""Grounding: what a prompt shows of the collection beside the query."""
