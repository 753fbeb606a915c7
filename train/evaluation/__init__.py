"""Systems × retrievers on held-out queries: what is asked, searched, measured and written."""
