"""Old import path of published cards, which tell their readers to load a prompt's context from here."""

from builders.prompts.context.load import load_grounding


__all__ = ["load_grounding"]
