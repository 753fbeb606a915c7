"""Reads a chat server's answer: what of it is the expansion, and what it took."""

from dataclasses import dataclass
from typing import Any

from builders.expanders.expander import Expansion, FinishReason, estimated_tokens
from builders.expanders.server.budget import Usage
from builders.prompts.answer_text import REASONING, split_reasoning, whole_characters


class NoAnswerError(Exception):
    """What came back is no chat completion."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An expansion, and the tokens it was paid for with (`None` where the server does not say)."""

    expansion: Expansion
    usage: Usage | None
    written_tokens: int


def read_answer(completion: Any, prompt: str, max_new_tokens: int, max_tokens: int) -> ChatAnswer:
    """Read a `ChatCompletionOutput`.

    Reasoning is taken out of the text and its tokens are counted apart; where the server does not count them itself,
    they are told from the rest by their share of the characters. An answer longer than asked for is cut down to
    `max_new_tokens`' share of its characters, at a word's end where there is one, and ends with `length`.

    Args:
        completion (`ChatCompletionOutput`):
            As `AsyncInferenceClient` parsed it; any field may be missing or of another type.
        prompt (`str`):
            The conversation's text; its tokens are estimated where the server does not count them.
        max_new_tokens (`int`), max_tokens (`int`):
            Token limits of the expansion, and of all that the server was to write.

    Raises:
        NoAnswerError: there is no message in it.
    """
    message, reason = _message(completion)
    raw = _plain(getattr(message, "content", None))
    aside = _plain(getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None))
    text, thought = split_reasoning(raw)
    kinds = REASONING if thought else ""
    text, thought = " ".join(text.split()), thought + aside
    usage, reasoning_tokens = _usage(completion)
    written = estimated_tokens(raw + aside) if usage is None else usage.completion_tokens
    if reasoning_tokens is None:
        reasoning_tokens = round(written * len(thought) / (len(thought) + len(text))) if thought else 0
    tokens = max(written - reasoning_tokens, 0)
    finish: FinishReason = "length" if reason == "length" or (reason is None and written >= max_tokens) else "stop"
    if tokens > max_new_tokens:
        text, tokens, finish = _cut(text, max_new_tokens / tokens), max_new_tokens, "length"
    prompt_tokens = estimated_tokens(prompt) if usage is None else usage.prompt_tokens
    expansion = Expansion(whole_characters(text), prompt_tokens, tokens, finish, reasoning_tokens, kinds)
    return ChatAnswer(expansion.cleaned(), usage, written)


def _message(completion: Any) -> tuple[Any, str | None]:
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    if not hasattr(message, "content"):
        # Some routers report a failure of the server behind them with status 200.
        error = getattr(completion, "error", None)
        raise NoAnswerError(f"the answer holds no message{f', but: {error}' if error else ''}")
    reason = getattr(choice, "finish_reason", None)
    return message, reason if isinstance(reason, str) else None


def _plain(content: Any) -> str:
    """Text of a content field: a string, or a list of parts of which only texts count."""
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    # JSON can spell half a character; no file can hold it.
    return content.encode("utf-8", "replace").decode("utf-8") if isinstance(content, str) else ""


def _usage(completion: Any) -> tuple[Usage | None, int | None]:
    usage = getattr(completion, "usage", None)
    read, written = (_count(usage, name) for name in ("prompt_tokens", "completion_tokens"))
    if read is None or written is None:
        return None, None
    details = getattr(usage, "completion_tokens_details", None)
    return Usage(read, written), _count(details, "reasoning_tokens")


def _count(counts: Any, name: str) -> int | None:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and value >= 0 else None


def _cut(text: str, share: float) -> str:
    kept = text[: int(len(text) * share)]
    whole_words = kept.rpartition(" ")[0] if len(kept) < len(text) and text[len(kept)] != " " else kept
    return (whole_words or kept).strip()
