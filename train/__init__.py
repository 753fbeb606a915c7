"""Students: from published pairs to adapters, and their evaluation. Started with `accelerate launch`."""
