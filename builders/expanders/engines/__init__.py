"""What runs a model on this machine: one file an engine."""
