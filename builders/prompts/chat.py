"""Writes a conversation as a model reads it: by its chat template, whatever that allows, or as plain text."""

from collections.abc import Sequence
from typing import Any

from builders.errors import KitError
from builders.prompts.prompt import Message


def conversation_text(tokenizer: Any, messages: Sequence[Message], **switches: Any) -> str:
    """The text that a model goes on from.

    Where a template knows no system role, or wants user and assistant in turn, the system's text stands in front of
    the user's, and neighbours of one role are one. A model without a template, one that nobody taught to chat, is
    given the texts alone, a blank line before each question.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            The model's.
        messages (`Sequence[Message]`):
            The conversation; the last turn is the user's.
        **switches:
            Further arguments of the template.

    Raises:
        KitError: the template refuses even so.
    """
    if not tokenizer.chat_template:
        return plain_text(messages)
    from jinja2 import TemplateError

    def written(turns: Sequence[Message]) -> str:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True, **switches))

    try:
        text = written(messages)
        if all(one["content"].strip() in text for one in messages if one["role"] == "system"):
            return text
    except TemplateError:
        pass
    try:
        return written(in_turn(messages))
    except TemplateError as error:
        raise KitError(f"the model's chat template refuses the prompt ({error}): give a prompt of one turn") from error


def in_turn(messages: Sequence[Message]) -> list[Message]:
    """User and assistant in turn: the system's text goes in front of the user's, neighbours of one role are joined."""
    turns: list[Message] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if turns and turns[-1]["role"] == role:
            turns[-1] = Message(role=role, content=f"{turns[-1]['content']}\n\n{message['content']}")
        else:
            turns.append(Message(role=role, content=message["content"]))
    return turns


def plain_text(messages: Sequence[Message]) -> str:
    """The texts without any role; every answer stands on the line after its question."""
    return (
        "\n".join(
            f"{turn['content']}\n" if turn["role"] in ("system", "assistant") else turn["content"] for turn in messages
        )
        + "\n"
    )
