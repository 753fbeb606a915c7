"""Loads prompts by name: those of the kit, YAML files of the user's own, and QueryGym's."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.prompts.context.load import context_names
from builders.prompts.output_check import OutputCheck
from builders.prompts.prompt import Prompt
from builders.prompts.querygym import querygym_prompt


def prompt_names() -> list[str]:
    """The ids of the prompts that come with the kit."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))


def load_prompt(name: str) -> Prompt:
    """Read a prompt by id, from a YAML file of the user's own, or from QueryGym (`querygym:…`).

    Raises:
        KitError: no such prompt, or the file lacks a field or has an unknown one.
    """
    if name.startswith("querygym:"):
        return querygym_prompt(name)
    own = Path(name)
    path = own if own.suffix in (".yaml", ".yml") else Path(__file__).parent / f"{name}.yaml"
    if not path.is_file():
        raise KitError(f"unknown prompt {name!r}: give a YAML file, or one of {', '.join(prompt_names())}")
    return _read(path)


def require_language(prompts: Iterable[Prompt], language: str, collection: str) -> None:
    """Refuse prompts that ask for another language than the collection's.

    Raises:
        KitError: one does; the message names those that fit.
    """
    for prompt in prompts:
        if prompt.language != language:
            others = [load_prompt(name) for name in prompt_names()]
            gold = prompt.grounding == "gold"
            fitting = [p.id for p in others if p.language == language and (p.grounding == "gold") == gold]
            raise KitError(
                f"prompt {prompt.id!r} is for language {prompt.language!r}, but collection {collection!r} is in "
                f"{language!r}: give {' or '.join(fitting) if fitting else 'a prompt file of your own'}"
            )


def _read(path: Path) -> Prompt:
    import yaml

    data = path.read_bytes()
    try:
        fields: dict[str, Any] = yaml.safe_load(data)
        check = OutputCheck(language=fields["language"], **fields.pop("check"))
        prompt = Prompt(**fields, check=check, sha256=hashlib.sha256(data).hexdigest())
    except KeyError as error:
        raise KitError(f"prompt file {path}: field {error} is missing") from error
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise KitError(f"prompt file {path}: {' '.join(str(error).split())}") from error
    if prompt.condition not in ("zero-shot", "few-shot"):
        raise KitError(f"prompt file {path}: condition must be zero-shot or few-shot, not {prompt.condition!r}")
    if (prompt.exemplars > 0) != (prompt.condition == "few-shot"):
        raise KitError(f"prompt file {path}: exemplars must be 0 for zero-shot and more for few-shot")
    if not isinstance(check.min_words, int) or not isinstance(check.max_words, int):
        raise KitError(f"prompt file {path}: check: min_words and max_words must be whole numbers")
    for pattern in check.forbidden:
        try:
            re.compile(pattern)
        except re.error as error:
            raise KitError(f"prompt file {path}: forbidden pattern {pattern!r}: {error}") from error
    if prompt.grounding not in (None, *context_names()):
        known = ", ".join(context_names())
        raise KitError(f"prompt file {path}: grounding must be one of {known}, not {prompt.grounding!r}")
    if (prompt.grounding is not None) != ("{grounding}" in prompt.user) or (prompt.grounding and prompt.exemplars):
        raise KitError(f"prompt file {path}: a grounding needs {{grounding}} in field user, and no exemplars")
    if "{query}" not in prompt.user:
        raise KitError(f"prompt file {path}: field user must contain {{query}}")
    return prompt
