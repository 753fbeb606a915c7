"""How well rankings answer queries: pure functions, and the same as a module that `evaluate.load` reads."""
