"""From an adapter to weights that stand alone: merged into its base model, or that as a GGUF file."""
