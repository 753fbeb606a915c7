"""Readers of corpus, topics, judgments, questions and click logs in files."""
