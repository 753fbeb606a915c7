"""Judge errors of the Hub's client: what each means for a publish, and the one line that says so."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from json import JSONDecodeError
from typing import Any, TypeVar

from builders.errors import KitError
from builders.http_failures import may_pass, one_line
from builders.masking import masked_text
from builders.publishing.hub_client import LONGEST_WAIT, asked_wait


# Seconds before the second, third and fourth try, where the Hub does not name a time.
PAUSES = (1.0, 3.0, 8.0)
TRIES_AGAINST_OTHERS = 10
OFFLINE = "HF_HUB_OFFLINE is set: unset it to publish"

# What the library makes of an answer that is no JSON, or other JSON than it reads.
SENSELESS = (JSONDecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError)

Result = TypeVar("Result")


class Cause(Enum):
    """What to do about a failure."""

    LOST = "no answer, or an error of the server's own: the work may or may not have been done"
    MOVED = "somebody else committed in between"
    BUSY = "try again later"
    FINAL = "trying again would change nothing"


@dataclass(frozen=True)
class Failure:
    """One failed request.

    Args:
        cause (`Cause`):
            What to do about it.
        line (`str`):
            One line for the user, free of credentials.
        wait (`float`, *optional*):
            Seconds that the Hub asks to wait.
    """

    cause: Cause
    line: str
    wait: float | None = None


class NotSeen(Exception):
    """What was asked for, and answered as if it was done, is not there."""


def failure_errors() -> tuple[type[Exception], ...]:
    """The exception classes that the Hub's client lets out; everything else is a bug and stays a traceback."""
    from huggingface_hub.utils import httpx

    # OSError: builtin ConnectionError (xet) and HfHubHTTPError. RuntimeError: hf_xet. ValueError: metadata that makes
    # no sense.
    return (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError, NotSeen, *SENSELESS)


def failure_of(error: Exception, where: str) -> Failure:
    """Judge an exception of the Hub's client.

    Args:
        error (`Exception`):
            One of [`failure_errors`].
        where (`str`):
            Address of the repository, for the message.
    """
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    said = masked_text(one_line(getattr(error, "server_message", None) or error, 400)) or type(error).__name__
    response = getattr(error, "response", None)
    if isinstance(error, OfflineModeIsEnabled):
        return Failure(Cause.FINAL, OFFLINE)
    if response is None and isinstance(error.__cause__, httpx.HTTPError):
        # An upload to the storage: what was stored wrong may be right the next time.
        inner = failure_of(error.__cause__, where)
        refused = getattr(getattr(error.__cause__, "response", None), "status_code", None) in (401, 403)
        return inner if refused else Failure(Cause.LOST, f"{inner.line}: {said}", inner.wait)
    if isinstance(error, NotSeen):
        return Failure(Cause.LOST, f"{where}: {said}")
    if isinstance(error, SENSELESS):
        why = f"{type(error).__name__}: {said}"
        return Failure(Cause.LOST, f"{where}: an answer that makes no sense ({why}): is this a Hub?")
    if response is not None:
        return _failure_of_status(response, where, said)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return Failure(Cause.FINAL, f"{where}: no address of a Hub ({said}): mend HF_ENDPOINT")
    if isinstance(error, httpx.TransportError | ConnectionError | TimeoutError | RuntimeError):
        return Failure(Cause.LOST, f"{where}: no answer ({said})")
    if isinstance(error, OSError):
        return Failure(Cause.FINAL, f"{where}: {said}")
    return Failure(Cause.FINAL, f"{where}: refused, or this is no Hub: {said}")


def _failure_of_status(response: Any, where: str, said: str) -> Failure:
    status = response.status_code
    wait = asked_wait(response)
    if status >= 500:
        return Failure(Cause.LOST, f"{where}: the Hub failed ({status}, {said})", wait)
    if status == 412:
        return Failure(Cause.MOVED, f"{where}: somebody else keeps committing (412, {said})")
    if may_pass(status):
        return Failure(Cause.BUSY, f"{where}: the Hub is busy ({status}, {said})", wait)
    final = {
        401: "the Hub does not accept the token: hf auth login, or set HF_TOKEN",
        403: "not allowed: the token is read-only, or the repository's owner is somebody else",
        404: "not found, or not visible with this token",
    }
    return Failure(Cause.FINAL, f"{where}: {final.get(status, 'the Hub refused')} ({status}, {said})")


class Patience:
    """What one piece of work may cost in tries and in waiting."""

    def __init__(self) -> None:
        self.tries, self.waited = 0, 0.0

    def pause(self, failure: Failure) -> None:
        """Wait before the next try.

        Args:
            failure (`Failure`):
                Why the last try failed.

        Raises:
            KitError: the tries are used up, the failure is final, or the Hub asks for more time than is sensible.
        """
        self.tries += 1
        if failure.cause is Cause.FINAL:
            raise KitError(failure.line)
        moved = failure.cause is Cause.MOVED
        if self.tries > (TRIES_AGAINST_OTHERS if moved else len(PAUSES)):
            raise KitError(f"{failure.line} (given up after {self.tries} tries)")
        if moved:
            return
        seconds = PAUSES[self.tries - 1] if failure.wait is None else failure.wait
        self.waited += seconds
        if self.waited > LONGEST_WAIT:
            raise KitError(f"{failure.line}: try again in {seconds:.0f} s")
        time.sleep(seconds)


def patiently(call: Callable[[], Result], where: str, fresh: bool = False) -> Result:
    """Make a request that does no harm when it is made twice, and make it again where that may help.

    Args:
        call (`Callable`), where (`str`):
            The request, and the address of the repository for the message.
        fresh (`bool`):
            It asks for what was only just made, and what all of the Hub may not know yet: not found is asked again.

    Raises:
        KitError: it failed for good.
    """
    patience = Patience()
    while True:
        try:
            return call()
        except failure_errors() as error:
            failure = failure_of(error, where)
            if fresh and getattr(getattr(error, "response", None), "status_code", None) == 404:
                failure = replace(failure, cause=Cause.LOST)
            patience.pause(failure)
