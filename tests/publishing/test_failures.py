"""What an answer of the Hub's means for a publish, and how long it asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from builders.publishing.failure import Cause, failure_of


def refused(status: int, **headers: str) -> OSError:
    error = OSError("no")
    error.response = SimpleNamespace(status_code=status, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return error


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (409, Cause.BUSY),
        (429, Cause.BUSY),
        (408, Cause.BUSY),
        (412, Cause.MOVED),
        (500, Cause.LOST),
        (403, Cause.FINAL),
    ],
)
def test_a_status_decides_what_is_done(status: int, cause: Cause) -> None:
    assert failure_of(refused(status), "here").cause is cause


def test_a_time_to_wait_is_read_as_seconds_and_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert failure_of(refused(429, Retry_After="7"), "here").wait == 7
    assert 50 < failure_of(refused(503, Retry_After=later), "here").wait <= 60
    assert failure_of(refused(429), "here").wait is None
