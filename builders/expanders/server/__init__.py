"""A chat server as an expander: requests, retries, budget."""
