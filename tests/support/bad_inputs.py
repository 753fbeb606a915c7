"""Draws bad inputs for the kit's commands: odd values, spoilt files, broken recipes, outputs in strange places."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from builders.artifacts.files import file_hash
from tests.support.commands import settings
from tests.support.every_command import CALLS, OUT


@dataclass(frozen=True)
class BadInput:
    """A call of a command with one thing wrong.

    Args:
        name (`str`), words (`tuple[str, ...]`):
            The call of [`CALLS`], and its words now.
        about (`str`):
            What is wrong.
        spoil (`str`), path (`str`), content (`bytes`):
            What is done to which of the inputs before, and what a file then holds.
        refused (`bool`):
            Nothing but a refusal is right.
    """

    name: str
    about: str
    words: tuple[str, ...]
    spoil: str = ""
    path: str = ""
    content: bytes = b""
    refused: bool = False

    def prepare(self, inputs: Path) -> None:
        """Spoil the inputs, among which lie things that odd values may name."""
        (inputs / "loop").symlink_to("loop")
        os.mkfifo(inputs / "pipe")
        (inputs / "binary").write_bytes(bytes(range(256)))
        (inputs / "strange").mkdir()
        (inputs / "strange/thesis.txt").write_text("years of work")
        if self.spoil:
            SPOILS[self.spoil](inputs / self.path, self.content)


NO_NUMBERS = ("nan", "inf", "-inf", "abc", "", "1e400", "0x10", "1,5", "[1]", "1 2", "½")
NUMBERS = ("-1", "0", "-7", "1e30", "999999999999999999999", "0.5", "٣", "1_000", " 3 ", "1e-300", "true")
# As many as one likes.
UNBOUNDED = ("max_steps", "num_train_epochs", "max_new_tokens", "rounds", "validation_max_new_tokens")
TEXTS = (
    *("", " ", "\t\n", "nothing", "null", "../..", "~", "-", "/", "/dev/null", "a" * 300, "a/b", "a/b/c", "loop"),
    *("\udcff\udcfe", "\u202egnp.exe", "ü\u0301\U0001f600", "http://127.0.0.1:9/x", "tiny", "base", "answers.jsonl"),
    *("pipe", "binary", "package:", "package:os", "dense:", "dense:tiny", "x=", "=x", "a=b=c", "%s{}", "[]", "{}"),
    *("hybrid(bm25s,bm25s)", "hybrid(", "mean", "q*0+e", "q*-1+e", "q*99999999+e", "bm25s+rm3:0:1:1", "binary=b"),
)
FLAGS = ("maybe", "2", "", "nan", "[true]")
VALUES: tuple[Any, ...] = (
    *([], {}, [[]], {"a": 1}, None, "", True, -1, 1e30, "x", [None], "\0", "\ud800", [1, "a"], 10**40),
)
RECIPES: dict[str, tuple[bytes, bool]] = {
    "empty": (b"", True),
    "binary": (bytes(range(256)), True),
    "utf-16": ("seed: 1\n".encode("utf-16"), True),
    "doubled": (b"seed: 1\nseed: 2\n", True),
    "doubled inside": (b"seed: 1\nx: {a: 1, a: 2}\n", True),
    "unknown": (b"no_such_thing: 1\n", True),
    "list": (b"- seed\n", True),
    "text": (b"seed", True),
    "numbers for keys": (b"1: 2\n", True),
    "null for a key": (b"~: 2\n", True),
    "python": (b"seed: !!python/object/apply:os.system [ls]\n", True),
    "tabs": (b"a:\n\tb: 1\n", True),
    "env": (b"env: {A: b}\n", True),
    "merge": (b"a: &a {seed: 1}\n<<: *a\n", True),
    "itself": (b"seed: &a [*a]\n", True),
    "bomb": (
        b"a: &a [1,1]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(24)),
        True,
    ),
    "deep": (b"seed: " + b"[" * 5000 + b"]" * 5000, True),
    "two documents": (b"seed: 1\n---\nseed: 2\n", True),
    "a date": (b"seed: 2020-01-01\n", True),
    "null bytes": (b'output_dir: "a\\0b"\n', True),
    "dashes": (b"--seed: 1\n", True),
    "complex key": (b"? [a, b]\n: 1\n", True),
    "not a number": (b"seed: .nan\n", True),
    "help": (b"help: true\n", True),
    "itself again": (b"config: recipe.yaml\n", True),
}
JUNK: tuple[bytes, ...] = (
    *(b"", b"\n", b"{}", b"[]", b"null", b"7", b'"text"', b"[null]", b'[{"a": 1}]', b"{", b"\xff\xfe\x00\x00"),
    *(bytes(range(256)) * 8, b"PAR1" + b"\0" * 64 + b"PAR1", b"\x1f\x8b\x08" + b"\0" * 20, b"PK\x03\x04" + b"\0" * 40),
    *(b"\xff" * 8 + b"{}", (8).to_bytes(8, "little") + b"{}      ", b"[" * 100_000, b"a\tb\tc\td\n" * 3),
    *(b'{"_id": 1}\n', b"---\na: b\n", b"NaN", b'{"a": NaN}', b'{"kind": "adapter"}', b"\0" * 4096, b"\xef\xbb\xbf{}"),
)
STRAY: tuple[Any, ...] = (
    *(None, [], {}, "", "x", -1, 0, 1e308, True, [None], {"": None}, "../../x", "ü" * 40, [[1]], float("nan")),
)
PLACES = ("", " ", ".", "..", "loop", "loop/x", "a" * 300, "expansions", "\udcff", "/dev/null", "pipe", "a\nb", "~")
FOREIGN = ("/", "/proc/x", "answers.jsonl", "answers.jsonl/x", "/dev/null/x", "tiny", "base", "strange")


def bad_inputs(seed: int, number: int, inputs: Path, names: Sequence[str] = tuple(CALLS)) -> list[BadInput]:
    """So many bad inputs, the commands in turn; the same for the same seed."""
    chance = random.Random(seed)
    ways = (bad_option, bad_file, bad_recipe, bad_output, bad_words)
    drawn = ((chance.choices(ways, (4, 5, 2, 1, 1))[0], names[n % len(names)]) for n in range(number))
    return [way(chance, name, inputs) for way, name in drawn]


def bad_option(chance: random.Random, name: str, inputs: Path) -> BadInput:
    """A value that makes no sense, or seems to make none."""
    given = dict(_settings(name))
    own = [option for option in given if f"--{option}" in CALLS[name]]
    option = chance.choice(own if chance.random() < 0.35 else sorted(given))
    value, refused = given[option], False
    if option in ("output_dir", "out"):
        return bad_output(chance, name, inputs)
    if isinstance(value, bool):
        values, refused = [chance.choice(FLAGS)], True
    elif isinstance(value, int | float):
        refused = chance.random() < 0.5
        few = [number for number in NUMBERS if option not in UNBOUNDED or len(number) < 5 and number != "1e30"]
        values = [chance.choice(NO_NUMBERS if refused else few)]
    elif isinstance(value, list):
        values = [chance.choice(TEXTS) for _ in range(chance.randrange(3))]
    else:
        values = [chance.choice((*TEXTS, *NO_NUMBERS, *NUMBERS))]
    words = [f"--{option}={values[0]}"] if len(values) == 1 else [f"--{option}", *values]
    return BadInput(name, f"{option}={values}", (*_without(CALLS[name], option), *words), refused=refused)


def bad_words(chance: random.Random, name: str, inputs: Path) -> BadInput:
    """Options that are unknown, shortened, given twice or without their value, and words that belong to none."""
    words = tuple(CALLS[name])
    spot = chance.choice([place for place, word in enumerate(words) if word.startswith("--")])
    kinds = {
        "unknown": (*words, "--no_such_thing", "7"),
        "shortened": (*words[:spot], words[spot][:-1], *words[spot + 1 :]),
        "without a value": (*words, words[spot]),
        "stray": (*words, chance.choice(TEXTS)),
    }
    kind = chance.choice(sorted(kinds))
    return BadInput(name, f"{kind} word", kinds[kind], refused=kind in ("unknown", "shortened"))


def bad_recipe(chance: random.Random, name: str, inputs: Path) -> BadInput:
    """A recipe that is none, or holds what no recipe may."""
    words = (*_without(CALLS[name], "config"), "--config", "recipe.yaml")
    draw = chance.random()
    if draw < 0.3:
        spoil = chance.choice(("missing", "folder", "loop", "pipe", "dangling"))
        return BadInput(name, f"recipe: {spoil}", words, spoil, "recipe.yaml", refused=True)
    if draw < 0.65:
        about = chance.choice(sorted(RECIPES))
        content, refused = RECIPES[about]
        return BadInput(name, f"recipe: {about}", words, "file", "recipe.yaml", content, refused)
    option, value = chance.choice(sorted(dict(_settings(name)))), chance.choice(VALUES)
    content = json.dumps({option: value}).encode()
    return BadInput(
        name, f"recipe: {option}: {value!r}"[:200], _without(words, option), "file", "recipe.yaml", content
    )


def bad_file(chance: random.Random, name: str, inputs: Path) -> BadInput:
    """A file that the call reads is missing, cut off or something else, or holds stray JSON."""
    top = chance.choice([path for path in sorted(_paths(CALLS[name])) if (inputs / path).exists()])
    files = sorted(path for path in (inputs / top).rglob("*") if path.is_file())
    place = chance.choice(files) if files and chance.random() < 0.9 else inputs / top
    path, words = place.relative_to(inputs).as_posix(), tuple(CALLS[name])
    if place.suffix == ".json" and chance.random() < 0.7:
        content, what = _strayed(chance, json.loads(place.read_text()))
        return BadInput(name, f"{path}: {what}", words, "file", path, content)
    spoil = chance.choice(
        sorted({*SPOILS} - {"edited"}) if place.is_file() else ("missing", "loop", "folder", "file", "pipe")
    )
    content = chance.choice(JUNK) if spoil in ("file", "resealed") else b""
    return BadInput(name, f"{path}: {spoil} {content[:20]!r}", words, spoil, path, content)


def bad_output(chance: random.Random, name: str, inputs: Path) -> BadInput:
    """An output that is somebody else's, a file, lies in a file, or cannot be made."""
    words = list(CALLS[name])
    if not {OUT, f"{OUT}.json"} & {*words}:
        return bad_file(chance, name, inputs)
    place = chance.choice((*PLACES, *FOREIGN))
    words = [place if word in (OUT, f"{OUT}.json") else word for word in words]
    # Results are put beside what lies in a folder.
    beside = name in ("train/evaluate.py", "train/matrix.py") and (inputs / place).is_dir() or place == "strange"
    refused = place in FOREIGN and not beside
    return BadInput(name, f"output {place!r}", tuple(words), refused=refused)


@cache
def _settings(name: str) -> tuple[tuple[str, Any], ...]:
    """Option and its value in the call."""
    return tuple(settings(CALLS[name]).items())


def _without(words: Iterable[str], option: str) -> tuple[str, ...]:
    """The words without an option and its values."""
    kept: list[str] = []
    within = False
    for word in words:
        within = word == f"--{option}" if word.startswith("--") else within
        kept += [] if within else [word]
    return tuple(kept)


def _paths(words: Sequence[str]) -> set[str]:
    """What may be names of files among the words of a call."""
    own = words[3:] if words[0] == "-m" and words[1] == "builders" else words[2:]
    parts = {part for word in own for side in word.split("=") for part in (side, side.split(",")[0])}
    parts |= {part.removeprefix("dense:").split("|")[0] for part in parts}
    return {part for part in parts if part and not part.startswith(("-", "/", OUT))}


def _strayed(chance: random.Random, record: Any) -> tuple[bytes, str]:
    """A JSON file with one value replaced or left out, more often at its top, and what that is."""
    spots: list[tuple[Any, Any]] = []

    def walk(value: Any, depth: int) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            spots.append((value, key))
            if depth:
                walk(value[key], depth - 1)

    walk(record, 4)
    top = [spot for spot in spots if spot[0] is record]
    holder, key = chance.choice(top if chance.random() < 0.6 else spots)
    if chance.random() < 0.3:
        del holder[key]
        return json.dumps(record).encode(), f"without {key!r}"
    holder[key] = chance.choice(STRAY)
    return json.dumps(record).encode(), f"{key!r} = {holder[key]!r}"


def _missing(path: Path, _: bytes = b"") -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _after(make: Callable[[Path, bytes], object]) -> Callable[[Path, bytes], None]:
    """Something else in the place of what was there."""

    def spoil(path: Path, content: bytes) -> None:
        _missing(path)
        make(path, content)

    return spoil


def _half(path: Path, _: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _resealed(path: Path, content: bytes) -> None:
    """Other bytes, and the hash in the folder's record with them."""
    path.write_bytes(content)
    for record in (parent / name for parent in path.parents for name in ("build.json", "training.json", "space.json")):
        if record.is_file() and record != path:
            told, name = json.loads(record.read_text()), path.relative_to(record.parent).as_posix()
            if name in told.get("files", {}):
                told["files"][name] = file_hash(path)
                record.write_text(json.dumps(told))
            return


def _edited(path: Path, content: bytes) -> None:
    """A JSON object with other members; null takes one out."""
    record = {**json.loads(path.read_text()), **json.loads(content)}
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not None}))


SPOILS: dict[str, Callable[[Path, bytes], None]] = {
    "missing": _missing,
    "loop": _after(lambda path, _: path.symlink_to(path.name)),
    "dangling": _after(lambda path, _: path.symlink_to("nowhere")),
    "pipe": _after(lambda path, _: os.mkfifo(path)),
    "folder": _after(lambda path, _: path.mkdir()),
    "file": _after(lambda path, content: path.write_bytes(content)),
    "half": _half,
    "resealed": _resealed,
    "edited": _edited,
    "gzipped": lambda path, _: path.write_bytes(gzip.compress(path.read_bytes())[:-5]),
}
