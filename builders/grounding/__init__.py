"""Old import path of published cards: what a prompt shows lies in `builders.prompts.context` now."""
