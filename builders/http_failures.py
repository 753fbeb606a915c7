"""Read answers with which a server refuses: whether to try again, after how long, and what it says, in one line."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


# Too slow, in conflict, too early, too many at once.
PASSING = (408, 409, 425, 429)


def may_pass(status: int) -> bool:
    """Whether a request that was refused with this status may go better later."""
    return status in PASSING or status >= 500


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((date.replace(tzinfo=date.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds(), 0.0)


def one_line(text: object, longest: int) -> str:
    """A text without line breaks, and without what goes on longer than a message should."""
    return " ".join(str(text or "").split())[:longest]
