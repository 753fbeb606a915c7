"""Where documents, queries and judgments come from: one file a source."""
