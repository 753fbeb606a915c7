"""Render conversations as a student reads them: prompt and answers as plain strings, by its chat template."""

from typing import Any


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
    prompt = tokenizer.apply_chat_template(
        row["prompt"], tokenize=False, add_generation_prompt=True, **(row["chat_template_kwargs"] or {})
    )
    return {"prompt": prompt, **{name: row[name][0]["content"] + tokenizer.eos_token for name in answers}}


def render_rows(rows: Any, tokenizer: Any, answers: tuple[str, ...]) -> Any:
    """The same of all rows of a `datasets.Dataset`; their other columns are left out."""
    given = {"tokenizer": tokenizer, "answers": answers}
    return rows.map(render, fn_kwargs=given, remove_columns=rows.column_names)
