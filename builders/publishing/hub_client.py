"""Open the connection to the Hub so that no silence and no wait lasts longer than the kit's own patience."""

import os
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from builders.http_failures import may_pass, retry_after


if TYPE_CHECKING:
    from huggingface_hub.utils import httpx

# Seconds to reach the server, and seconds without a byte: the Hub needs long to put a huge file together.
CONNECT, SILENCE = 10.0, 120.0
# xet has a client of its own, which reads these from the environment when it is first used.
XET = {
    "CONNECT_TIMEOUT": "10s",
    "READ_TIMEOUT": "120s",
    "RETRY_MAX_ATTEMPTS": "3",
    "RETRY_MAX_DURATION": "120s",
}
# Seconds: a rate limit's window is five minutes; who has to wait longer is told so.
LONGEST_WAIT = 310.0
# In a row and without a time to wait: the library asks some questions again for ever.
MOST_REFUSALS = 20


@cache
def use_bounded_client() -> None:
    """Have all that huggingface_hub and hf_xet ask from now on asked with these bounds."""
    from huggingface_hub import set_client_factory

    set_client_factory(_bounded_client)
    for name, value in XET.items():
        os.environ.setdefault(f"HF_XET_CLIENT_{name}", value)


def asked_wait(response: Any) -> float | None:
    """Seconds that an answer of the Hub's asks to wait."""
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds + 1.0
    return retry_after(response.headers.get("Retry-After"))


def _bounded_client() -> "httpx.Client":
    """The library's own client with timeouts; what it would try again for too long is let out to the kit at once."""
    from huggingface_hub.utils import _http, hf_raise_for_status, httpx

    asked: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()

    bounds = httpx.Timeout(SILENCE, connect=CONNECT).as_dict()

    class BoundedClient(httpx.Client):  # type: ignore[misc, name-defined]
        def send(self, request: Any, **options: Any) -> Any:
            # The library's functions say "no timeout" of each request, past that of the client.
            given = {
                name: most for name, most in (request.extensions.get("timeout") or {}).items() if most is not None
            }
            request.extensions["timeout"] = {**bounds, **given}
            try:
                response = super().send(request, **options)
            except httpx.TimeoutException:
                # The library tries its own kind of timeout six times, and the kit each of these again.
                raise TimeoutError(f"{request.url.host} is silent") from None
            key = (request.method, str(request.url))
            if not may_pass(response.status_code):
                asked.pop(key, None)
                refused.pop(key, None)
                return response
            refused[key] += 1
            asked[key] += int(asked_wait(response) or 0)
            if asked[key] > LONGEST_WAIT or refused[key] > MOST_REFUSALS:
                response.read()
                hf_raise_for_status(response)
            return response

    return BoundedClient(event_hooks={"request": [_http.hf_request_event_hook]}, follow_redirects=True, timeout=None)
