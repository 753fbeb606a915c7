"""What a prompt shows of the collection beside the query: feedback terms, passages, the judged document."""
