"""The page of every command and recipe key, made from the dataclasses that the commands read.

    python -m tests.support.reference

writes `docs/reference.md` anew.
"""

import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from builders.__main__ import COMMANDS
from builders.expanders.load import EXPANDERS
from qexpand.__main__ import STEPS
from tests.support.commands import ROOT, entry
from tests.support.readme_tables import markdown
from train.__main__ import commands as commands_of_train
from train.own_data.run_recipe import RunRecipe


PAGE = ROOT / "docs/reference.md"
HEAD = """\
# What does each command and recipe key mean?

Each option is a key of the command's YAML recipe (`--config RECIPE.yaml`), too; the command line overrides the recipe.
`qexpand` only hands over: to `python -m builders COMMAND`, to `python -m train COMMAND`, which `accelerate launch`
starts in several processes, to `python -m model_cards` (`qexpand cards`) and to `python -m space` (`qexpand space`).
Made by `python -m tests.support.reference`.
"""
# Every command that takes `--expander` takes all of them.
EXPANDER_OPTIONS = {one.name for kind in EXPANDERS if kind.Options for one in fields(kind.Options)}
LIBRARIES = {"trl": "TRL", "transformers": "transformers", "sentence_transformers": "sentence-transformers"}


class Asked(BaseException):
    """A command has said what it reads. Nothing catches it."""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, (does, _) in STEPS.items():
        form = f"{name} RECIPE" if name == "publish" else name
        parts.append(section(f"qexpand {form}", does, read_by(["-m", "qexpand", name])))
        if name == "run":
            parts.append(
                section("The recipe of a run", "keys that all stages share, and each stage's own", [RunRecipe], "")
            )
    for name, does in COMMANDS.items():
        parts.append(section(f"qexpand {name}", does, read_by(["-m", "builders", name])))
    for kind in EXPANDERS:
        if kind.Options is not None and fields(kind.Options):
            parts.append(section(f"--expander {kind.name}", kind.help, [kind.Options]))
    for name, does in commands_of_train().items():
        parts.append(section(f"accelerate launch -m train {name}", does, read_by([f"train/{name}.py"])))
    cards = "training record + results → the card of an adapter or a retriever"
    parts.append(section("python -m model_cards", cards, read_by(["-m", "model_cards"])))
    parts.append(section("python -m space", "results → the Space, served or rendered", read_by(["-m", "space"])))
    return "\n".join(parts)


def read_by(words: list[str]) -> list[Any]:
    """The dataclasses that a command reads; it is stopped before it does anything."""
    from trl import TrlParser

    def stop(parser: TrlParser, **given: Any) -> None:
        raise Asked(list(parser.dataclass_types))

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Asked) as asked:
        patch.setattr(TrlParser, "parse_args_into_dataclasses", stop)
        patch.setattr(sys, "argv", words[1:] if words[0] == "-m" else words)
        started: Callable[[], None] = entry(words)
        started()
    found: list[Any] = asked.value.args[0]
    return found


def section(command: str, does: str, kinds: list[Any], mark: str = "--") -> str:
    """A command, what it does, and a table of its options, which begin with a mark."""
    rows, others = [], []
    known = {one.name for kind in kinds for one in fields(kind)}
    of_expanders = EXPANDER_OPTIONS if EXPANDER_OPTIONS < known else set()
    for kind in kinds:
        types = get_type_hints(kind)
        for one in fields(kind):
            if not one.init or one.name in of_expanders:
                continue
            if "help" not in one.metadata or from_library(kind, one.name):
                others.append(library(kind))
                continue
            rows.append([f"`{mark}{one.name}`", default(one), named(types[one.name]), cell(one.metadata["help"])])
    others += ["each `--expander`, below"] if of_expanders else []
    more = "".join(f"Also all options of {name}.\n" for name in sorted({one for one in others if one}))
    table = markdown(["option" if mark else "key", "default", "takes", "what"], rows) if rows else ""
    return "\n".join(part for part in (f"## {command}\n", f"{does[0].upper()}{does[1:]}.\n", table, more) if part)


def from_library(kind: Any, name: str) -> bool:
    """Whether an option is no option of ours: the class nearest to the root that has it lies elsewhere."""
    owner = next(one for one in reversed(kind.__mro__) if name in getattr(one, "__annotations__", {}))
    return owner.__module__.split(".")[0] in LIBRARIES


def library(kind: Any) -> str:
    """`TRL's SFTConfig`, of a class or of the nearest of those that it derives from."""
    owner = next((one for one in kind.__mro__ if one.__module__.split(".")[0] in LIBRARIES), None)
    return f"{LIBRARIES[owner.__module__.split('.')[0]]}'s `{owner.__name__}`" if owner else ""


def default(one: Field[Any]) -> str:
    """As a recipe would have it."""
    value = one.default if one.default_factory is MISSING else one.default_factory()
    if value is MISSING:
        return "(needed)"
    if value is None or value == [] or value == "":
        return ""
    shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return f"`{str(shown).lower() if isinstance(value, bool) else shown}`"


def named(kind: Any) -> str:
    """`number`, `text`, …, as somebody says it who writes no Python."""
    inner = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) is dict:
        return "settings"
    if get_origin(kind) in (list, tuple):
        return f"{named(inner[0])} …"
    if inner:
        return named(inner[0])
    return {int: "number", float: "number", bool: "true or false", str: "text"}.get(kind, "text")


def cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("%%", "%")


if __name__ == "__main__":
    PAGE.write_text(page())
