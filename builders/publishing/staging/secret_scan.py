"""Looks for secrets in files that are to be published: tokens and keys, by the shapes that their issuers gave them."""

import re
from pathlib import Path

from builders.errors import KitError
from builders.masking import TOKEN


# What it is → how such texts begin, one of which has to be there, and the shape. As the scanners gitleaks and
# detect-secrets have them; an issuer's own examples are none.
_SHAPES: dict[str, tuple[tuple[bytes, ...], re.Pattern[bytes]]] = {
    "an access token of the Hub": ((b"hf_",), re.compile(TOKEN.pattern.encode())),
    "an access key of AWS": (
        (b"AKIA", b"ASIA", b"ABIA", b"ACCA"),
        re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    "a token of GitHub": (
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        re.compile(rb"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{70})"),
    ),
    "a key of OpenAI": (
        (b"sk-",),
        re.compile(
            rb"(?<![\w-])sk-(?:[A-Za-z0-9]{48}(?![\w-])|(?:proj|svcacct|admin)-[\w-]{40}|[\w-]{16,80}T3BlbkFJ\w{16})"
        ),
    ),
    "a key of Anthropic": ((b"sk-ant-",), re.compile(rb"(?<![\w-])sk-ant-[\w-]{40}")),
    "a key of Google": ((b"AIza",), re.compile(rb"(?<![\w-])AIza[\w-]{35}(?![\w-])")),
    "a token of Slack": ((b"xox",), re.compile(rb"(?<!\w)xox[abeoprs]-\d{6,}-[\w-]{10}")),
    "a token of GitLab": ((b"glpat-",), re.compile(rb"(?<!\w)glpat-[\w-]{20}")),
    "a token of PyPI": ((b"pypi-AgE",), re.compile(rb"(?<!\w)pypi-AgE[\w-]{50}")),
    "a private key": (
        (b"PRIVATE KEY-----",),
        re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----(?:\\n|\s)+[A-Za-z0-9+/=]{40}"),
    ),
}
_BLOCK, _OVERLAP = 1 << 22, 256


def refuse_secrets(name: str, path: Path, own: bytes = b"") -> None:
    """Look for secrets in a file, block by block. A token's shape is enough, whoever it belongs to.

    Args:
        name (`str`), path (`Path`):
            The file's name, as the Hub would show it, and where it lies.
        own (`bytes`, *optional*):
            The token that publishes, which has to be nowhere whatever its shape.

    Raises:
        KitError: there is one; its line is named, and it is not shown.
    """
    with path.open("rb") as file:
        tail, lines = b"", 1
        while block := file.read(_BLOCK):
            text = tail + block
            if found := _found(text, own):
                what, start = found
                line = lines + text.count(b"\n", 0, start)
                raise KitError(f"{path}: line {line} of {name} holds what looks like {what}; take it out first")
            tail = text[-_OVERLAP:]
            lines += text.count(b"\n", 0, len(text) - len(tail))


def _found(text: bytes, own: bytes) -> tuple[str, int] | None:
    """What looks like a secret, and where it begins."""
    if own and own in text:
        return "an access token", text.index(own)
    for what, (beginnings, shape) in _SHAPES.items():
        if any(beginning in text for beginning in beginnings) and (match := shape.search(text)):
            return what, match.start()
    return None
