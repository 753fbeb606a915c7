"""Pictures of recorded results, in one look: readable in grey, and on a phone."""
