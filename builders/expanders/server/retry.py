"""Decide which failures of a chat server are worth another attempt, and after how long."""

import json
import random
import re
from dataclasses import dataclass
from typing import Any

from builders.expanders.server.chat_answer import NoAnswerError
from builders.http_failures import may_pass, one_line, retry_after


FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
HINTS = {
    401: "the token is missing or wrong: log in with `hf auth login`, or see --api_key_variable",
    402: "payment is required: the account's credit is used up",
    403: "the token does not allow this",
    404: "no such model or path: see --model, --provider and --base_url",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with one attempt.

    Args:
        reason (`str`):
            One line.
        again (`bool`):
            Whether another attempt may go better.
        wait (`float`, *optional*):
            Seconds that the server asks to wait.
        unpaid (`bool`):
            Whether it is certain that nothing is paid for it.
    """

    reason: str
    again: bool
    wait: float | None = None
    unpaid: bool = False


def failure_of(error: Exception) -> Failure | None:
    """Explain an exception of an attempt; `None` for one that is nobody's but the programmer's."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return _refusal(error)
    if isinstance(error, TimeoutError):
        cause = error.__cause__
        unsent = isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        return Failure("no answer in time, see --request_timeout", again=True, unpaid=unsent)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return Failure(f"--base_url: {error}", again=False, unpaid=True)
    if isinstance(error, httpx2.ConnectError):
        return Failure(f"the server cannot be reached ({error})", again=True, unpaid=True)
    if isinstance(error, httpx2.HTTPError):
        return Failure(f"the connection broke ({str(error) or type(error).__name__})", again=True)
    if isinstance(error, NoAnswerError):
        return Failure(str(error), again=True)
    # `ChatCompletionOutput` is parsed with json.loads, and refuses lists and numbers with "Invalid …".
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) or str(error).startswith("Invalid"):
        return Failure("the answer is not the JSON of a chat completion", again=True)
    if isinstance(error, ValueError):  # The client knows no such provider, model or token.
        return Failure(str(error), again=False, unpaid=True)
    return None


def _refusal(error: Any) -> Failure:
    status = int(error.response.status_code)
    said = _said(error)
    reason = f"status {status}{f', {said}' if said else ''}"
    if status in HINTS:
        return Failure(f"{HINTS[status]} ({reason})", again=False, unpaid=True)
    if status in (400, 422) and re.search(r"\bseed\b", said):
        return Failure(f"{reason}: the server takes no seed; give --send_seed false", again=False, unpaid=True)
    wait = retry_after(error.response.headers.get("Retry-After"))
    # Behind a gateway that gave up waiting, the model may have gone on.
    return Failure(reason, again=may_pass(status), wait=wait, unpaid=status != 504)


def _said(error: Any) -> str:
    """What the server says about it, in the forms of OpenAI, of FastAPI and of the Hub."""
    try:
        answer = error.response.json()
        said = answer.get("error") or answer.get("detail") or answer.get("message")
    except (ValueError, AttributeError):
        said = error.server_message
    if isinstance(said, dict):
        said = said.get("message")
    return one_line(said, 200)


def backoff(failures: int) -> float:
    """Seconds before the next attempt after so many failures: doubling, with jitter so that workers spread out."""
    return min(FIRST_WAIT * 2.0 ** (failures - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)
