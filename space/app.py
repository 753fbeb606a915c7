"""Lets people type a query, or pick one, and see and change what each expansion does to a search.

This file is the `app.py` of a rendered Space. In the repository, `python space/app.py` shows the Space that
`python -m space` rendered last to its default place.
"""

import sys
from pathlib import Path


HERE = Path(__file__).resolve().parent
RENDERED = (HERE / "space.json").is_file()
if not RENDERED:
    # Run as a script, this folder would stand in the way of the packages beside it.
    sys.path[:1] = [str(HERE.parent)]

from builders.errors import KitError  # noqa: E402
from space.engine import Engine  # noqa: E402
from space.tabs.page import build, serve  # noqa: E402


try:
    ENGINE = Engine(HERE if RENDERED else HERE.parent / "out" / "demo" / "space")
except KitError as mendable:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"error: {mendable}\n")
    sys.exit(2)
demo = build(ENGINE)


def main() -> None:
    """Serve the page; load in the background what the first search needs."""
    import threading

    threading.Thread(target=ENGINE.warm, daemon=True).start()
    serve(demo)


if __name__ == "__main__":
    main()
