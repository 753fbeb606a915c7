"""Reads and writes `expander.json`: all that an adapter needs beside its weights to expand queries anywhere."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from builders.artifacts.files import dump_json
from builders.artifacts.model_folder import ADAPTER, KINDS, TRAINING, adapter_name
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.prompts.load import load_prompt
from builders.prompts.output_check import OutputCheck
from builders.prompts.prompt import Prompt


EXPANDER = "expander.json"
# The second one says how several expansions are drawn that are searched together.
FORM, TOGETHER_FORM = 1, 2
Record = dict[str, Any]


def student_prompt(training: Mapping[str, Any], name: str | None = None) -> Prompt | None:
    """The prompt that an adapter was trained with; `None` where it is nowhere to be had as it was then.

    Args:
        training (`Mapping`):
            The record of the training.
        name (`str`, *optional*):
            Prompt id or YAML file to take; by default what the datasets name.

    Raises:
        KitError: there is no prompt of the name that was given.
    """
    builds = list((training.get("data") or {}).values())
    trained = {(one["id"], one["sha256"]) for build in builds for one in build["prompts"]}
    named = [build["settings"].get("student_prompt") for build in builds]
    named += [one for build in builds for one in build["settings"].get("prompts", ())]
    wanted = builds[-1]["student_prompt"] if builds else None
    for candidate in [name] if name else filter(None, [wanted, *named]):
        try:
            prompt = load_prompt(candidate)
        except KitError:
            if name:
                raise
            continue
        if (prompt.id, prompt.sha256) in trained and (name or prompt.id == wanted):
            return prompt
    return None


def expander_record(
    training: Mapping[str, Any], prompt: Prompt | None = None, results: Mapping[str, Any] | None = None
) -> Record | None:
    """The content of `expander.json`.

    Args:
        training (`Mapping`):
            The record of the adapter's training.
        prompt ([`Prompt`], *optional*):
            What it is told; by default what it was trained with.
        results (`Mapping`, *optional*):
            `results.json` of its evaluation, whose settings are then the ones to use; by default those of its data.

    Returns:
        `None` where the prompt is nowhere to be had.
    """
    prompt = prompt or student_prompt(training)
    if prompt is None:
        return None
    told = results if results is not None else list(training["data"].values())[-1]
    settings = told["settings"]
    tokens = settings.get("max_new_tokens") or (told.get("sampling") or {}).get("max_new_tokens") or 32
    context = {
        "kind": prompt.grounding,
        "collection": settings.get("collection"),
        "retriever": settings.get("retriever"),
    }
    decoding = _decoding(results, tokens, settings.get("dtype", "float32"))
    return {
        "kind": "expander",
        "form": TOGETHER_FORM if decoding["do_sample"] else FORM,
        "base": {**training["base"], "trained_on": training["settings"]["model"]["model_name_or_path"]},
        "prompt": asdict(prompt),
        "decoding": decoding,
        "formulation": told["formation"],
        "context": context if prompt.grounding else None,
    }


def _decoding(results: Mapping[str, Any] | None, tokens: int, dtype: str) -> Record:
    """How it is to write: greedily, unless several expansions were measured together."""
    common = {"max_new_tokens": tokens, "dtype": dtype}
    measured = results["decoding"] if results is not None else {"greedy": True}
    if measured["greedy"]:
        return {"do_sample": False, **common}
    return {"do_sample": True, **{name: measured[name] for name in ("samples", "temperature", "top_k")}, **common}


def expander_files(training: Mapping[str, Any]) -> dict[str, bytes]:
    """`expander.json` of a trained adapter, name → content; nothing where its prompt is not to be had."""
    record = expander_record(training)
    return {} if record is None else {EXPANDER: dump_json(record).encode()}


def read_expander(folder: Path, prompt: str | None = None) -> Record:
    """What the folder of an adapter says of its use; older ones say it in their training's record alone.

    Args:
        folder (`Path`):
            Of the adapter.
        prompt (`str`, *optional*):
            Prompt id or YAML file to ask it with, instead of its own.

    Raises:
        KitError: neither file tells, or one is broken.
    """
    try:
        if prompt is None and (folder / EXPANDER).is_file():
            record: Record | None = read_record(folder / EXPANDER)
            if not isinstance(record, dict) or record.get("form") not in (FORM, TOGETHER_FORM):
                raise KitError(f"{folder / EXPANDER}: of a form that this version does not know: update the kit")
        else:
            training = read_record(folder / TRAINING)
            record = expander_record(training, load_prompt(prompt) if prompt else None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise KitError(f"{folder}: no {EXPANDER} and no {TRAINING} of the kit's that can be read ({error})") from error
    if record is None:
        raise KitError(f"{folder}: has no {EXPANDER}, and the prompt of its training is not here: give prompt=…")
    return record


def require_measured(folder: Path) -> None:
    """Refuse weights other than those whose measurement the folder's file tells of; earlier files do not say which.

    Raises:
        KitError: they are others, or the file is broken.
    """
    try:
        record = read_record(folder / EXPANDER)
        measured = record.get("measured")
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError) as error:
        raise KitError(f"{folder / EXPANDER}: broken; render the card again: python -m model_cards") from error
    # The folder may have another name by now.
    if measured is not None and str(measured).split("@")[-1] != adapter_name(str(folder)).split("@")[-1]:
        raise KitError(
            f"{folder / KINDS[ADAPTER].weights}: weights differ from those measured ({measured}): evaluate them, and "
            "render the card again"
        )


def recorded_prompt(record: Mapping[str, Any]) -> Prompt:
    """The prompt of a record.

    Raises:
        KitError: its fields are not those of a prompt.
    """
    fields = dict(record["prompt"])
    try:
        return Prompt(**{**fields, "check": OutputCheck(**fields["check"])})
    except (TypeError, KeyError) as error:
        raise KitError(f"{EXPANDER}: prompt: {error}") from error
