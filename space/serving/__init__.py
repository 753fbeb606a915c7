"""What stands between visitors and the engine: the line, the steps of an answer, the API, what is refused."""
