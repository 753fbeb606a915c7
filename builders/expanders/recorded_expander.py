"""Answers with expansions that a teacher wrote before, read from a file or a dataset."""

import hashlib
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.expanders.expander import (
    Expander,
    ExpanderInputs,
    Expansion,
    FinishReason,
    Identity,
    Request,
    Sampling,
    estimated_tokens,
)
from builders.expanders.recordings import RecordedExpansion, parse_where, read_recorded
from builders.prompts.prompt import Condition, Prompt


# How others mark what was written after examples.
FEW_SHOT = ("few-shot", "few_shot", "fewshot", "fs")
SAMPLING = ("temperature", "top_p", "top_k", "max_new_tokens", "seed")


@dataclass(kw_only=True)
class RecordedOptions:
    """Settings of `--expander recorded`."""

    recorded: str | None = field(
        default=None, metadata={"help": "Recorded expansions: JSONL file (.gz too), dataset folder, or its Hub id."}
    )
    where: list[str] = field(
        default_factory=list,
        metadata={"action": "extend", "help": "Take only rows with FIELD=VALUE; may be given several times."},
    )
    text_fields: list[str] = field(
        default_factory=list, metadata={"help": "Fields that make up the text, if not expansion, candidate or text."}
    )
    recorded_model: str | None = field(
        default=None,
        metadata={"help": "Hub id of the model that wrote them, where no field model or model_id says so."},
    )
    pool_models: bool = field(
        default=False, metadata={"help": "Take what several models wrote as one pool, each under prompts of its own."}
    )


class RecordedExpander(Expander):
    """Answers with what was recorded under one prompt: at most as many samples as asked for, in their order.

    Args:
        rows (`Sequence[RecordedExpansion]`):
            What was recorded; of one model.
        identity ([`Identity`]):
            That model.
    """

    name = "recorded"
    help = "expansions written before: a file, a dataset folder, or its Hub id"
    Options = RecordedOptions
    reads_prompt = True
    free = True

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> list[tuple[Prompt, Expander]]:
        """See [`Expander.make`]."""
        return list(read_recording(inputs.options, inputs.student))

    def __init__(self, rows: Sequence[RecordedExpansion], identity: Identity) -> None:
        self.identity = identity
        self.settings = {"rows": hashlib.sha256(repr(rows).encode()).hexdigest()}
        self._sampling = _sampling(rows)
        self._of_query: dict[str, list[RecordedExpansion]] = {}
        for row in rows:
            self._of_query.setdefault(row.query_id, []).append(row)
        self.query_ids = self._of_query.keys()

    def sampled(self, sampling: Sampling) -> Sampling | None:
        """What the recording says; see [`Expander.sampled`]."""
        return self._sampling

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Look the answers up by the requests' keys, which are query ids; `sampling` has been long ago."""
        for request in requests:
            if request.key not in done:
                rows = self._of_query.get(request.key, [])
                yield request.key, [recorded_expansion(row) for row in rows[: request.samples]]


def read_recording(options: RecordedOptions, student: Prompt) -> list[tuple[Prompt, RecordedExpander]]:
    """The recorded expansions, prompt by prompt.

    A recording seldom holds its prompts' wording. Each prompt it names, by `prompt_id` or else by `method` and `mode`,
    stands here by that name and its condition, with the student's output check; in a pool of several models, by the
    model's name too.

    Raises:
        KitError: the recording cannot be read, it names no model, or several where no pool was asked for.
    """
    if options.recorded is None:
        raise KitError("--expander recorded needs --recorded: a JSONL file, a dataset folder, or its Hub id")
    rows = read_recorded(options.recorded, parse_where(options.where), options.text_fields)
    identities = [_identity(options, row) for row in rows]
    models = sorted({identity.model_id for identity in identities})
    distinct = len(set(identities))
    if distinct > 1 and not options.pool_models:
        raise KitError(
            f"{options.recorded}: a dataset has one teacher, and this is of {', '.join(models)}: choose with --where, "
            "or pool them with --pool_models true"
        )
    groups: dict[tuple[Identity, str, int, Condition], list[RecordedExpansion]] = {}
    for row, identity in zip(rows, identities, strict=True):
        name, version, condition = _written_under(row.attributes)
        name = name if distinct == 1 else f"{name}-{identity.model_id.split('/')[-1]}"
        groups.setdefault((identity, name, version, condition), []).append(row)
    return [
        (
            replace(student, id=name, version=version, condition=condition, exemplars=0, sha256=""),
            RecordedExpander(rows, identity),
        )
        for (identity, name, version, condition), rows in sorted(groups.items(), key=lambda group: group[0][1:])
    ]


def _written_under(attributes: Mapping[str, Any]) -> tuple[str, int, Condition]:
    """Name, version (0: unknown) and condition of the prompt; what does not say few-shot is zero-shot."""
    parts = [attributes.get(name) for name in ("method", "mode")]
    name = attributes.get("prompt_id") or "-".join(str(part) for part in parts if part) or "recorded"
    marks = {str(attributes.get(field)).lower() for field in ("condition", "mode")}
    version = attributes.get("prompt_version")
    condition: Condition = "few-shot" if marks & set(FEW_SHOT) else "zero-shot"
    return str(name), version if isinstance(version, int) else 0, condition


def _identity(options: RecordedOptions, row: RecordedExpansion) -> Identity:
    facts = [row.attributes.get(name) for name in ("model_id", "model", "model_revision", "adapter")]
    model_id, model, revision, adapter = facts
    if not (model_id or model or options.recorded_model):
        raise KitError(f"{options.recorded}: no field says which model wrote it: give its Hub id, --recorded_model")
    source = str(options.recorded)
    name = Path(source).name if Path(source).expanduser().exists() else source
    writer = str(model_id or model or options.recorded_model)
    return Identity(writer, str(revision or "unknown"), f"recorded in {name}", "recorded", adapter)


def _sampling(rows: Sequence[RecordedExpansion]) -> Sampling | None:
    """How the model chose its words, if the recording says so, and the same of every row."""
    told = {tuple(row.attributes.get(name) for name in SAMPLING) for row in rows}
    values: Any = told.pop() if len(told) == 1 else (None,)
    return None if None in values else Sampling(*values)


def recorded_expansion(row: RecordedExpansion) -> Expansion:
    """What was recorded, without labels and reasoning; token counts and end as it states, else estimated ones."""
    read, written = (row.attributes.get(name) for name in ("prompt_tokens", "completion_tokens"))
    finish: FinishReason = "length" if row.attributes.get("finish_reason") == "length" else "stop"
    tokens = written if isinstance(written, int) else estimated_tokens(row.text)
    return Expansion(row.text, read if isinstance(read, int) else 0, tokens, finish).cleaned()
