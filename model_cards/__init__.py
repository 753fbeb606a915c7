"""Model cards: results JSON, recipe and provenance → the card of an adapter. No number is typed by hand."""
