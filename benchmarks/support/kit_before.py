"""Answers with the kit of an older commit, for `generation.py`, with that commit's folder as PYTHONPATH.

Reads what is asked as JSON, a line each, and writes how long it took. Uses only what older kits have, too.
"""

import json
import sys
import time

from builders.expanders.expander import Request, Sampling
from builders.expanders.local import LocalExpander


def main() -> None:
    """Answer line by line until there is none left."""
    model, dtype = sys.argv[1:]
    expander = LocalExpander(model, dtype=dtype)
    expander.load()
    for line in sys.stdin:
        asked = json.loads(line)
        sampling = Sampling(**asked["sampling"])
        requests = [
            Request(key, tuple(messages), asked["samples"]) for key, messages in asked["conversations"].items()
        ]
        started, worked = time.perf_counter(), time.process_time()
        answers = [one for _, found in expander.expand(requests, sampling) for one in found]
        spent, cpu = time.perf_counter() - started, time.process_time() - worked
        tokens = sum(one.completion_tokens for one in answers)
        print(json.dumps({"seconds": spent, "cpu": cpu, "tokens": tokens}), flush=True)


if __name__ == "__main__":
    main()
