"""Terms: what words of a collection go with which queries, by its own judgments."""
