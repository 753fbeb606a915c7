"""Options of a chat server: its address, its key, patience, prices and budget."""

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from builders.errors import KitError


@dataclass(kw_only=True)
class InferenceOptions:
    """Settings of `--expander inference`."""

    base_url: str | None = field(default=None, metadata={"help": "URL of an OpenAI-compatible server, without token."})
    provider: str | None = field(
        default=None, metadata={"help": "Inference Provider (default: auto); with --base_url the name to record."}
    )
    served_model: str | None = field(
        default=None, metadata={"help": "What the server calls the model, if not by its Hub id."}
    )
    bill_to: str | None = field(default=None, metadata={"help": "Organisation on the Hub that pays."})
    api_key_variable: str | None = field(
        default=None,
        metadata={"help": "NAME of the environment variable with the token. Without it, providers get the Hub's."},
    )
    concurrency: int = field(default=8, metadata={"help": "Requests in flight at once."})
    request_timeout: float = field(default=120.0, metadata={"help": "Seconds to wait for one answer."})
    max_retries: int = field(default=6, metadata={"help": "Further attempts after failures that may pass."})
    empty_retries: int = field(default=2, metadata={"help": "Further attempts after an empty answer."})
    reasoning_tokens: int = field(default=0, metadata={"help": "Tokens for thinking, on top of --max_new_tokens."})
    extra_body: str = field(default="{}", metadata={"help": "JSON object of further fields for the server."})
    send_seed: bool = field(default=True, metadata={"help": "Send a seed; some servers refuse it."})
    price_prompt: float = field(default=0.0, metadata={"help": "US dollars for a million tokens read."})
    price_completion: float = field(default=0.0, metadata={"help": "US dollars for a million tokens written."})
    budget_usd: float | None = field(default=None, metadata={"help": "At most so many US dollars for this dataset."})
    budget_tokens: int | None = field(default=None, metadata={"help": "At most so many tokens, read and written."})

    def body(self) -> dict[str, Any]:
        """The further fields of every request.

        Raises:
            KitError: they are no JSON object.
        """
        try:
            body = json.loads(self.extra_body)
        except ValueError as error:
            raise KitError(f"--extra_body: not valid JSON ({error})") from error
        if not isinstance(body, dict):
            raise KitError('--extra_body: give a JSON object, e.g. {"reasoning_effort": "low"}')
        return body

    def check(self) -> None:
        """Raise KitError for what makes no sense, or would put a token where others read it."""
        self.body()
        if self.concurrency < 1 or self.request_timeout <= 0:
            raise KitError("--concurrency must be at least 1, --request_timeout more than 0")
        counts = ("max_retries", "empty_retries", "reasoning_tokens", "price_prompt", "price_completion")
        for name in (*counts, "budget_usd", "budget_tokens"):
            if (getattr(self, name) or 0) < 0:
                raise KitError(f"--{name} must not be negative")
        if self.budget_usd is not None and not (self.price_prompt or self.price_completion):
            raise KitError("--budget_usd needs --price_prompt and --price_completion, US dollars for a million tokens")
        if self.api_key_variable is not None and not re.fullmatch("[A-Z_][A-Z0-9_]*", self.api_key_variable):
            raise KitError("--api_key_variable: give the NAME of an environment variable, never the token itself")
        if self.base_url is not None:
            url = urlsplit(self.base_url)
            if url.scheme not in ("http", "https") or not url.netloc:
                raise KitError("--base_url must begin with http:// or https:// and a host")
            if "@" in url.netloc or url.query:
                raise KitError("--base_url: no password and no query in it, it is recorded; see --api_key_variable")
            if self.bill_to is not None:
                raise KitError("--bill_to is for Inference Providers; a server of its own bills whom it likes")

    def token(self) -> str | None:
        """The token, from the environment or the Hub login and from nowhere else.

        A server of one's own is sent none unless a variable is named: the Hub's token is not its business.

        Raises:
            KitError: there is none where one is needed.
        """
        from huggingface_hub import get_token

        if self.api_key_variable is None:
            if self.base_url is not None:
                return None
            token = get_token()
            if token is None:
                raise KitError("Inference Providers need a token: log in with `hf auth login`, or set HF_TOKEN")
            return token
        token = os.environ.get(self.api_key_variable) or (get_token() if self.api_key_variable == "HF_TOKEN" else None)
        if not token:
            raise KitError(f"--api_key_variable: {self.api_key_variable} is not set in the environment")
        return token.strip()
