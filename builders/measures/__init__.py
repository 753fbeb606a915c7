"""How a ranking is judged."""
