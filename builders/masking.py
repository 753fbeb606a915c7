"""Masks credentials in what is recorded or said: by the names that they go by, and by the shapes that they have."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any


MASK = "***"
TOKEN = re.compile(r"hf_[A-Za-z0-9]{16,}")
_WORD = r"(?:key|token|secret|password|passphrase|passwd|pwd|authori[sz]ation|credentials?|cookie|bearer)"
_NAME = re.compile(rf"[\w.-]*{_WORD}", re.IGNORECASE)
# What tokenizers call tokens.
_TOKENIZERS = re.compile(r"(?:bos|eos|pad|unk|sep|cls|mask|stop|image)_?token", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^\s/?#@'\"]+@")
# "name": "value", also as Python shows it.
_PAIR = re.compile(
    rf"""(?P<begin>(["'])(?P<name>[\w.-]*{_WORD})\2\s*:\s*(?P<mark>["']))(?:\\.|(?!(?P=mark)).)*""", re.I | re.S
)
# --name value, --name=value and name=value.
_GIVEN = re.compile(rf"(?P<begin>--(?P<option>[\w-]*{_WORD})[= ]|(?<![\w.-])(?P<name>[\w.-]*{_WORD})=)[^\s,;]+", re.I)


def masked(value: Any) -> Any:
    """Settings as they are recorded: what goes by the name of a credential is masked, however deep it lies."""
    if isinstance(value, dict):
        return {name: MASK if _hides(name, each) else masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(masked, value)] if isinstance(value, list) else tuple(map(masked, value))
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("{", "[")):
        try:
            read = json.loads(value)
        except ValueError:
            return masked_text(value)
        shown = masked(read)
        return value if shown == read else json.dumps(shown, ensure_ascii=False)
    return masked_text(value)


def masked_command(words: Sequence[str]) -> list[str]:
    """The words of a command line as they are recorded."""
    shown: list[str] = []
    for word in words:
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        before = shown[-1].removeprefix("--") if shown and shown[-1].startswith("--") else ""
        if _hides(before if not name else name.removeprefix("--") if equals else "", value):
            value = MASK
        shown.append(f"{name}{equals}{masked(value)}")
    return shown


def masked_text(text: str) -> str:
    """A message without passwords in addresses, tokens of the Hub, and what stands after the name of a credential."""
    for pattern in (_PAIR, _GIVEN):
        text = pattern.sub(_masked_match, text)
    return TOKEN.sub(MASK, without_login(text))


def without_login(address: str) -> str:
    """An address, or a text with some, without the user names and passwords in them."""
    return _LOGIN.sub("", address)


def credentials(value: Any, named: bool = False) -> Iterator[str]:
    """The texts in a JSON value that are masked."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from credentials(each, named or _hides(name, each))
    elif isinstance(value, list):
        for each in value:
            yield from credentials(each, named)
    elif named:
        yield str(value)


def _hides(name: object, value: Any) -> bool:
    """Whether a name says that the value is a credential."""
    known = isinstance(name, str) and _NAME.fullmatch(name) and not _TOKENIZERS.fullmatch(name)
    return bool(known) and value is not None and not isinstance(value, bool) and value != ""


def _masked_match(found: re.Match[str]) -> str:
    name = next(filter(None, (found.groupdict().get(part) for part in ("name", "option"))), "")
    return f"{found['begin']}{MASK}" if _hides(name, "value") else found[0]
