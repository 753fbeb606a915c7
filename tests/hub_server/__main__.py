"""Run the server by hand: `python -m tests.hub_server [--port N] [--folder DIR]`."""

from __future__ import annotations

import argparse
import signal
import time

from .server import HubServer


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.hub_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="a free one by default")
    parser.add_argument("--folder", help="where to keep repositories; a temporary folder by default")
    arguments = parser.parse_args()
    # Stopped by a supervisor, it cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with HubServer(arguments.folder, arguments.port) as hub:
        print(f"export HF_ENDPOINT={hub.url}")
        print(f"export HF_TOKEN={hub.owner_token}", flush=True)
        print(f"# user {hub.owner}, organisation {hub.organisation}; files in {hub.folder}; Ctrl-C stops", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("\nstopped")


if __name__ == "__main__":
    main()
