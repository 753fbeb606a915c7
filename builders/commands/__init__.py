"""Runs the commands of `python -m builders`, one file a command."""
