"""The drift guard: which queries are better left alone, by what a first search shows."""
