"""Hard negatives for a dense retriever: documents that a search finds and nobody judged relevant."""
