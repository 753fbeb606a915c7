"""Hard negatives: documents that a retriever takes for relevant and that are not, as far as one can tell."""
