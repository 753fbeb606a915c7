"""Expands by a chat server: requests, retries, budget."""
