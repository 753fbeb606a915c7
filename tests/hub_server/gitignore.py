"""Which paths a `.gitignore` leaves out."""

from __future__ import annotations

import re


def _pattern(line: str) -> re.Pattern[str]:
    body = line.rstrip("/")
    anchored = "/" in body
    body = body.lstrip("/")
    out = ""
    index = 0
    while index < len(body):
        if body.startswith("**/", index):
            out, index = out + "(?:.*/)?", index + 3
        elif body.startswith("**", index):
            out, index = out + ".*", index + 2
        elif body[index] == "*":
            out, index = out + "[^/]*", index + 1
        elif body[index] == "?":
            out, index = out + "[^/]", index + 1
        elif body[index] == "[" and "]" in body[index + 2 :]:
            end = body.index("]", index + 2)
            inner = body[index + 1 : end].replace("\\", "\\\\")
            out, index = out + "[" + ("^" + inner[1:] if inner[0] == "!" else inner) + "]", end + 1
        else:
            out, index = out + re.escape(body[index]), index + 1
    # A pattern names a file or a folder; "name/" names a folder only, and a folder stands for all that lies in it.
    return re.compile(("" if anchored else "(?:.*/)?") + out + ("/.*" if line.endswith("/") else "(?:/.*)?"))


def is_ignored(path: str, content: str) -> bool:
    """The last line that matches decides."""
    ignored = False
    for raw in content.splitlines():
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        if _pattern(line.removeprefix("!")).fullmatch(path):
            ignored = not negated
    return ignored
