"""Reads YAML recipes as data: settings of the right types, each once, and nothing that runs or sends by itself."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import yaml

from builders.artifacts.records import refuse_pipe
from builders.errors import KitError
from builders.masking import masked


_TRUTHS = ("yes", "true", "t", "y", "1", "no", "false", "f", "n", "0")
_SPOKEN = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
_LOOPBACK = ("localhost", "::1")


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML's readers take the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise KitError(f"{twice[0]}: stands there twice")
        return super().construct_mapping(node, deep)


def read_recipe(path: str) -> dict[str, Any]:
    """The settings in a YAML recipe.

    Raises:
        KitError: it cannot be read, is no mapping, has a key twice, a number that is none or a text that no file can
            hold, or would set environment variables, run code of a model's repository, or hold a token.
    """
    refuse_pipe(Path(path))
    try:
        recipe = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise KitError(f"no such recipe: {path}") from error
    except OSError as error:
        raise KitError(f"{path}: no recipe that can be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise KitError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except KitError as error:
        raise KitError(f"{path}: {error}") from error
    if not isinstance(recipe, dict) or not all(isinstance(key, str) for key in recipe):
        raise KitError(f"{path}: a recipe is a YAML mapping of settings to values")
    if "env" in recipe:
        # A recipe may come from a stranger, and a variable can start programs or send a token elsewhere.
        raise KitError(f"{path}: env: a recipe sets no environment variables; take it out, and set them in the shell")
    if recipe.get("hub_token") is not None:
        raise KitError(f"{path}: hub_token: a recipe holds no token; take it out, and log in with `hf auth login`")
    for key, value in recipe.items():
        _refuse_within(f"{path}: {key}: ", value, set())
        if key == "trust_remote_code" and value:
            raise KitError(f"{path}: {key}: the kit runs no code of a model's repository; take it out")
    return recipe


def refuse_endpoints(path: str, recipe: Mapping[str, Any], arguments: Sequence[str]) -> None:
    """Refuse a recipe that would have a server of its own choice sent queries, and whatever variable it likes.

    Args:
        path (`str`), recipe (`Mapping`):
            The recipe, and its settings.
        arguments (`Sequence[str]`):
            The command line, on which the variable with the key can be named, or the server.

    Raises:
        KitError: neither is.
    """
    given = {argument.split("=")[0].replace("-", "_") for argument in arguments if argument.startswith("--")}
    url = recipe.get("base_url")
    if not isinstance(url, str) or given & {"__base_url", "__api_key_variable"}:
        return
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if not (host in _LOOPBACK or host.startswith("127.") and host.replace(".", "").isdigit()):
        raise KitError(
            f"{path}: base_url: a recipe alone sends nothing to {host or 'another machine'}: give --base_url, or "
            "--api_key_variable with the NAME of the variable that holds the server's key, on the command line"
        )


def typed(path: str, recipe: Mapping[str, Any], types: Iterable[type]) -> dict[str, Any]:
    """The settings, single values of lists as lists.

    Args:
        path (`str`), recipe (`Mapping`):
            The recipe, and its settings.
        types (`Iterable[type]`):
            The dataclasses that it is for.

    Raises:
        KitError: none of them knows a key, or a value is of another type than its setting.
    """
    hints = {name: hint for one in types for name, hint in get_type_hints(one).items()}
    known = {field.name for one in types for field in fields(one) if field.init}
    if unknown := [key for key in recipe if key not in known]:
        raise KitError(f"{path}: no such setting: {' '.join(f'--{key}' for key in unknown)}; see --help")
    settings = dict(recipe)
    for key, value in recipe.items():
        kinds = _kinds(hints.get(key, Any))
        lists = [kind for kind in kinds if get_origin(kind) is list]
        if lists and str not in kinds and not isinstance(value, list | NoneType):
            settings[key] = [value]
        if not any(_fits(settings[key], kind) for kind in kinds):
            remedy = "; put it in quotes" if str in kinds and not isinstance(value, list | dict | NoneType) else ""
            shown = masked({key: value})[key]
            raise KitError(f"{path}: {key}: {shown!r} is not {_spoken(kinds)}{remedy}"[:1000])
    return settings


def is_text(text: str) -> bool:
    """Whether files and their names can hold a text: no zero bytes in it, and nothing that UTF-8 cannot spell."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _refuse_within(where: str, value: Any, seen: set[int]) -> None:
    """Refuse numbers and texts that are none, and remote code, however deep."""
    if isinstance(value, str) and not is_text(value):
        raise KitError(f"{where}{value!a} is no text that a file could hold")
    if isinstance(value, float) and not math.isfinite(value):
        raise KitError(f"{where}{value} is not a finite number")
    if not isinstance(value, list | dict) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict) and value.get("trust_remote_code"):
        raise KitError(f"{where}trust_remote_code: the kit runs no code of a model's repository; take it out")
    for one in value.values() if isinstance(value, dict) else value:
        _refuse_within(where, one, seen)


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value may stand where a type is wanted; text may, where the command line would read it so."""
    origin = get_origin(kind) or kind
    if origin is Literal:
        return value in get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_fits(one, part) for one in value for part in get_args(kind)[:1])
    if kind is bool:
        return isinstance(value, bool) or isinstance(value, str) and value.lower() in _TRUTHS
    if kind in (int, float):
        return _is_number(value, kind)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return isinstance(value, str | Enum)
    return origin not in (str, dict, NoneType) or isinstance(value, origin)


def _is_number(value: Any, kind: type) -> bool:
    try:
        number = kind(value) if isinstance(value, str) else value
    except ValueError:
        return False
    known = (int,) if kind is int else (int, float)
    return isinstance(number, known) and not isinstance(number, bool) and math.isfinite(number)


def _spoken(kinds: Sequence[Any]) -> str:
    """Types in plain words."""
    words = [
        f"a list of {_spoken(get_args(kind)[:1])}" if get_origin(kind) is list else _SPOKEN.get(kind, "a mapping")
        for kind in kinds
        if kind is not NoneType
    ]
    return " or ".join(dict.fromkeys(words))
