"""Render a Space from an evaluation's results, and serve it here.

    python -m space --results out/demo
    python -m space --results out/demo --render_only
    python -m space --results out/demo --static

The folder is a Hub Space as it stands: what it needs it carries, or names in its requirements.
"""

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from builders.cli import parse, run, say
from builders.errors import KitError
from space.render import render


@dataclass
class SpaceArguments:
    """Settings of `python -m space`."""

    results: str = field(metadata={"help": "Folder of an evaluation: results.json and per_query.parquet."})
    adapter: str | None = field(
        default=None, metadata={"help": "Adapter folder or Hub id; by default the last that was evaluated."}
    )
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder of the Space; by default RESULTS/space or RESULTS/static."}
    )
    port: int = field(default=7860, metadata={"help": "Port to serve at."})
    static: bool = field(
        default=False,
        metadata={"help": "Render one HTML file of what was measured, which needs no server, into RESULTS/static."},
    )
    render_only: bool = field(default=False, metadata={"help": "Stop after rendering."})


def main() -> None:
    """Render, then serve."""
    (args,) = parse(SpaceArguments, None, "python -m space", __doc__ or "")

    output = Path(args.output_dir or Path(args.results) / ("static" if args.static else "space"))
    changed = render(Path(args.results), args.adapter, output, args.static)
    say(f"{output}: {'rendered' if changed else 'up to date'}")
    if args.render_only or args.static:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", args.port))
        except (OSError, OverflowError) as error:
            raise KitError(f"port {args.port} cannot be used here: give another --port") from error
    # As on the Hub: the folder's own app, in the folder. It takes the place of this process, Ctrl-C included.
    environment = {"GRADIO_ANALYTICS_ENABLED": "False", **os.environ, "GRADIO_SERVER_PORT": str(args.port)}
    # The folder stays as it was rendered.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    os.chdir(output)
    os.execve(sys.executable, [sys.executable, "app.py"], environment)


if __name__ == "__main__":
    run(main)
