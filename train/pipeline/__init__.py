"""Training in rounds: stages, validation between rounds, early stopping."""
