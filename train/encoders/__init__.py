"""Training of encoders: dense retrievers and cross-encoder filters."""
