"""Render conversations as a student reads them: prompt and answers as plain strings, by its chat template."""

from dataclasses import dataclass
from typing import Any

from builders.errors import KitError
from builders.prompts.chat import conversation_text


@dataclass(frozen=True)
class Rendered:
    """Rows ready for a trainer, and how many were `dropped` or `cut` since they are longer than `max_length` tokens.

    A row is dropped where the prompt alone is so long, and cut where the end of an answer is lost: the student does
    not learn there to stop.
    """

    rows: Any
    max_length: int | None
    dropped: int = 0
    cut: int = 0

    def record(self) -> dict[str, int | None]:
        """For `training.json`: nothing where every row fits."""
        facts = {"max_length": self.max_length, "dropped": self.dropped, "cut": self.cut}
        return facts if self.dropped or self.cut else {}

    def said(self, source: str) -> str:
        """One line for the terminal; empty where every row fits."""
        return (
            f"{source}: of {len(self.rows) + self.dropped} rows, {self.dropped} are left out and {self.cut} cut: they "
            f"are longer than max_length, {self.max_length} tokens"
            if self.record()
            else ""
        )


def render(row: dict[str, Any], tokenizer: Any, answers: tuple[str, ...]) -> dict[str, str]:
    """Turn the message columns of a published row into strings for TRL's trainers.

    The prompt is rendered exactly as at inference. Each answer is its text and the end-of-turn token, so that the last
    trained token is the one that stops generation; a chat template would add more after it (SmolLM2's adds a newline).

    Args:
        row (`dict`):
            `prompt` (messages), the answer columns (one message each), `chat_template_kwargs`.
        tokenizer (`PreTrainedTokenizerBase`):
            The student's.
        answers (`tuple[str, ...]`):
            Names of the answer columns: `("completion",)` or `("chosen", "rejected")`.
    """
    prompt = conversation_text(tokenizer, row["prompt"], **(row["chat_template_kwargs"] or {}))
    return {"prompt": prompt, **{name: row[name][0]["content"] + tokenizer.eos_token for name in answers}}


def render_rows(rows: Any, tokenizer: Any, answers: tuple[str, ...], config: Any, source: str = "") -> Rendered:
    """The same of all rows of a `datasets.Dataset` that a trainer can learn from; their other columns are left out.

    Args:
        rows (`Dataset`), tokenizer (`PreTrainedTokenizerBase`), answers (`tuple[str, ...]`):
            See [`render`].
        config (TRL's, of the method):
            Its `max_length`, and which end it cuts.
        source (`str`, *optional*):
            The dataset, for messages.

    Raises:
        KitError: no row is left.
    """
    given = {"tokenizer": tokenizer, "answers": answers}
    rendered = rows.map(render, fn_kwargs=given, remove_columns=rows.column_names)
    longest = config.max_length
    if longest is None or getattr(config, "packing", False):
        return Rendered(rendered, None)
    prompts, wholes = ([_tokens(tokenizer, row, names) for row in rendered] for names in ((), answers))
    keeps_start = getattr(config, "truncation_mode", "keep_start") == "keep_start"
    kept = [number for number, length in enumerate(prompts) if length < longest or not keeps_start]
    if not kept:
        raise KitError(
            f"{source}: every prompt has max_length, {longest} tokens, or more, the shortest {min(prompts)}: there is "
            "nothing to train on; raise max_length"
        )
    cut = sum(wholes[number] > longest for number in kept)
    dropped = len(prompts) - len(kept)
    return Rendered(rendered.select(kept) if dropped else rendered, longest, dropped, cut)


def _tokens(tokenizer: Any, row: dict[str, str], answers: tuple[str, ...]) -> int:
    """Tokens of a prompt, with the longest of some answers."""
    texts = [row["prompt"] + row[name] for name in answers] or [row["prompt"]]
    return max(len(tokenizer(text)["input_ids"]) for text in texts)
